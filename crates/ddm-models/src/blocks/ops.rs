//! The operations of the networks. All networks of this crate use them, so that a kernel of burn
//! can be replaced in one place.
//!
//! Each takes the burn layer with its parameters, and an input of their dtype. Images
//! are `[batch, channels, height, width]`.

use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, Linear};
use burn::tensor::{Tensor, activation};

/// Applies a convolution with the stride, padding and groups of its layer.
#[must_use]
pub fn conv2d(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    layer.forward(x)
}

/// Returns `x W + b` along the last axis.
#[must_use]
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    layer.forward(x)
}

/// Normalizes each group of channels to mean 0 and variance 1, then applies a gain and a bias per
/// channel.
///
/// Source: Wu & He, *Group Normalization*, eq. 1–7, arXiv 1803.08494.
#[must_use]
pub fn group_norm(layer: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    layer.forward(x)
}

/// Returns the [`silu`] of the [`group_norm`]: one operation, since a kernel can fuse them.
#[must_use]
pub fn group_norm_silu(layer: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    silu(group_norm(layer, x))
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

/// Returns `softmax(q kᵀ/√d) v`, with q, k and v `[batch, heads, length, d]`.
///
/// Source: Vaswani et al., *Attention Is All You Need*, eq. 1, arXiv 1706.03762.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_models::blocks::ops::attention;
/// // Equal keys weigh all values equally.
/// let device = Device::flex();
/// let keys = Tensor::<4>::ones([1, 1, 2, 1], &device);
/// let values = Tensor::<4>::from_floats([[[[1.0], [5.0]]]], &device);
/// let mixed = attention(keys.clone(), keys, values).into_data().try_to_vec::<f32>();
/// assert_eq!(mixed.unwrap(), [3.0, 3.0]);
/// ```
#[must_use]
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    // Explicit, since burn 0.22's `attention` is no faster on the CPU, and its kernel for GPUs
    // gives zeros on the software Vulkan that the tests run on.
    let [.., head_size] = q.dims();
    let likeness = q.matmul(k.swap_dims(2, 3)) / (head_size as f64).sqrt();
    activation::softmax(likeness, 3).matmul(v)
}

/// Halves the height and width, by a convolution of stride 2.
#[must_use]
pub fn downsample(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    conv2d(layer, x)
}

/// Doubles the height and width, by repeating every pixel four times.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_models::blocks::ops::upsample_nearest;
/// let x = Tensor::<4>::from_floats([[[[1.0, 2.0]]]], &Device::flex());
/// let pixels = upsample_nearest(x).into_data().try_to_vec::<f32>();
/// assert_eq!(pixels.unwrap(), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
/// ```
#[must_use]
pub fn upsample_nearest(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, h, w] = x.dims();
    // By a broadcast, which is exact and whose gradient is a sum.
    x.reshape([batch, channels, h, 1, w, 1]).expand([batch, channels, h, 2, w, 2]).reshape([
        batch,
        channels,
        2 * h,
        2 * w,
    ])
}
