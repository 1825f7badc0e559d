//! The operations as burn's own, on every backend; the reference for kernels.
//!
//! Images are `[batch, height, width, channels]`. Each function takes the burn layer with its
//! parameters, and an input of their dtype, or of a wider one. Weights have burn's layouts: `[out, in/groups, height,
//! width]` for convolutions, `[in, out]` for linear layers.

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, Linear, PaddingConfig2d, RmsNorm};
use burn::tensor::{Bool, DType, Tensor, activation, module};

use super::AttentionOptions;

/// Returns a parameter in the dtype of the input: half-precision weights are widened here.
pub(super) fn parameter<const D: usize, const E: usize>(
    param: &Param<Tensor<D>>,
    x: &Tensor<E>,
) -> Tensor<D> {
    let (value, dtype) = (param.val(), x.dtype());
    if value.dtype() == dtype { value } else { value.cast(dtype) }
}

/// Returns whether numbers of this type overflow early or are coarse, so that sums are wider.
fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// Moves the channels last: `[batch, channels, height, width]` → `[batch, height, width, channels]`.
#[must_use]
pub fn to_channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// Moves the channels first: `[batch, height, width, channels]` → `[batch, channels, height, width]`.
#[must_use]
pub fn to_channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// Applies a convolution with the stride, padding, dilation and groups of its layer.
#[must_use]
pub fn conv2d(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    if is_pointwise(layer) {
        let [channels_out, channels_in, _, _] = layer.weight.dims();
        let weight = parameter(&layer.weight, &x);
        let weight = weight.reshape([channels_out, channels_in]).swap_dims(0, 1);
        let bias = layer.bias.as_ref().map(|bias| parameter(bias, &x));
        return module::linear(x, weight, bias);
    }
    let x = to_channels_first(x);
    if layer.weight.val().dtype() == x.dtype() {
        return to_channels_last(layer.forward(x));
    }
    let wide = |bias: &Param<Tensor<1>>| Param::initialized(bias.id, parameter(bias, &x));
    let layer = Conv2d {
        weight: Param::initialized(layer.weight.id, parameter(&layer.weight, &x)),
        bias: layer.bias.as_ref().map(wide),
        ..layer.clone()
    };
    to_channels_last(layer.forward(x))
}

/// Returns whether each output pixel depends on one input pixel only, the one in its place.
fn is_pointwise(layer: &Conv2d) -> bool {
    let unpadded = match layer.padding {
        PaddingConfig2d::Explicit(top, left, bottom, right) => top + left + bottom + right == 0,
        PaddingConfig2d::Valid | PaddingConfig2d::Same => true, // a 1×1 kernel needs no padding
    };
    layer.kernel_size == [1, 1] && layer.stride == [1, 1] && layer.groups == 1 && unpadded
}

/// Returns the [`conv2d`], plus `per_sample` (`[batch or 1, channels out]`) at every pixel, plus
/// `residual`.
#[must_use]
pub fn conv2d_add(
    layer: &Conv2d,
    x: Tensor<4>,
    per_sample: Option<Tensor<2>>,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    let mut y = conv2d(layer, x);
    if let Some(shift) = per_sample {
        let [batch, channels] = shift.dims();
        y = y + shift.reshape([batch, 1, 1, channels]);
    }
    match residual {
        Some(residual) => residual + y,
        None => y,
    }
}

/// Doubles the height and width, by repeating every pixel four times.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_models::blocks::plain::upsample_nearest;
/// let x = Tensor::<4>::from_floats([[[[1.0], [2.0]]]], &Device::flex()); // one row of two pixels
/// let pixels = upsample_nearest(x).into_data().try_to_vec::<f32>();
/// assert_eq!(pixels.unwrap(), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
/// ```
#[must_use]
pub fn upsample_nearest(x: Tensor<4>) -> Tensor<4> {
    let [batch, h, w, channels] = x.dims();
    // By a broadcast, which is exact and whose gradient is a sum.
    let repeated = x.reshape([batch, h, 1, w, 1, channels]).expand([batch, h, 2, w, 2, channels]);
    repeated.reshape([batch, 2 * h, 2 * w, channels])
}

/// Returns `x W + b` along the last axis.
#[must_use]
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    let weight = parameter(&layer.weight, &x);
    let bias = layer.bias.as_ref().map(|bias| parameter(bias, &x));
    module::linear(x, weight, bias)
}

/// Normalizes each group of channels of each sample to mean 0 and variance 1, then applies a gain
/// and a bias per channel.
///
/// The statistics of a group are over its channels and all pixels, in f32 if x is in half
/// precision. Source: Wu & He, *Group Normalization*, eq. 1–7, arXiv 1803.08494.
#[must_use]
pub fn group_norm(layer: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    let shape @ [batch, height, width, channels] = x.dims();
    let dtype = x.dtype();
    let wide = if is_half(dtype) { DType::F32 } else { dtype };
    let groups = layer.num_groups;
    let x = x.cast(wide).reshape([batch, height * width, groups, channels / groups]);
    let mean = |x: Tensor<4>| x.mean_dim(1).mean_dim(3);
    let centered = x.clone() - mean(x);
    let variance = mean(centered.clone().square());
    let mut y = (centered / (variance + layer.epsilon).sqrt()).reshape(shape).cast(dtype);
    if let Some(gamma) = &layer.gamma {
        let gamma = parameter(gamma, &y).reshape([1, 1, 1, channels]);
        y = y * gamma;
    }
    if let Some(beta) = &layer.beta {
        let beta = parameter(beta, &y).reshape([1, 1, 1, channels]);
        y = y + beta;
    }
    y
}

/// Normalizes the last axis to mean 0 and variance 1, then applies a gain and a bias per element.
///
/// Source: Ba et al., *Layer Normalization*, eq. 4, arXiv 1607.06450.
#[must_use]
pub fn layer_norm<const D: usize>(layer: &LayerNorm, x: Tensor<D>) -> Tensor<D> {
    layer.forward(x)
}

/// Returns `x/(1 + e^(−x))`.
///
/// Source: Hendrycks & Gimpel, *Gaussian Error Linear Units*, arXiv 1606.08415.
#[must_use]
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// Returns `softmax(q kᵀ/√d) v` for each head; see [`Ops::attention`](super::Ops::attention).
///
/// In f32 if q is in half precision, where q kᵀ may overflow.
#[must_use]
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    attention_with(q, k, v, heads, AttentionOptions::default())
}

/// Returns `softmax(s q kᵀ + bias) v` for each head; see
/// [`Ops::attention_with`](super::Ops::attention_with).
#[must_use]
pub fn attention_with(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    options: AttentionOptions,
) -> Tensor<3> {
    // Explicit, since burn 0.22's `attention` is no faster on the CPU, and its kernel for GPUs uses
    // shared memory, which is wrong on the software Vulkan that the tests run on (docs/devices.md).
    let [batch, queries, width] = q.dims();
    let [_, keys, width_out] = v.dims();
    let dtype = q.dtype();
    let split = |x: Tensor<3>| {
        let [batch, length, width] = x.dims();
        let x = if is_half(dtype) { x.cast(DType::F32) } else { x };
        x.reshape([batch, length, heads, width / heads]).swap_dims(1, 2)
    };
    let divisor = options.scale.map_or(((width / heads) as f64).sqrt(), f64::recip);
    let mut likeness = split(q).matmul(split(k).swap_dims(2, 3)) / divisor;
    if let Some(bias) = options.bias {
        likeness = likeness.clone() + bias.cast(likeness.dtype());
    }
    if options.causal {
        let shape = likeness.dims();
        let later = Tensor::<2, Bool>::tril_mask([queries, keys], 0, &likeness.device());
        likeness = likeness.mask_fill(later.unsqueeze::<4>().expand(shape), f64::NEG_INFINITY);
    }
    let mixed = activation::softmax(likeness, 3).matmul(split(v));
    mixed.swap_dims(1, 2).reshape([batch, queries, width_out]).cast(dtype)
}

/// Joins two images of the same size along their channels.
#[must_use]
pub fn concat(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    Tensor::cat(vec![a, b], 3)
}

/// Returns `max(x, 0)`.
#[must_use]
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::relu(x)
}

/// Normalizes the last axis to mean 0 and variance 1.
#[must_use]
pub fn normalize<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let dtype = x.dtype();
    let x = widened(x);
    let centered = x.clone() - x.mean_dim(D - 1);
    let variance = centered.clone().square().mean_dim(D - 1);
    (centered / (variance + epsilon).sqrt()).cast(dtype)
}

/// Divides the last axis by its root mean square, then applies a gain per element.
#[must_use]
pub fn rms_norm<const D: usize>(layer: &RmsNorm, x: Tensor<D>) -> Tensor<D> {
    let dtype = x.dtype();
    let x = widened(x);
    let mean_square = x.clone().square().mean_dim(D - 1);
    let normal = (x / (mean_square + layer.epsilon).sqrt()).cast(dtype);
    normal * layer.gamma.val().cast(dtype).unsqueeze()
}

/// Returns x in f32 if it is in half precision: sums of squares overflow there.
fn widened<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_half(x.dtype()) { x.cast(DType::F32) } else { x }
}
