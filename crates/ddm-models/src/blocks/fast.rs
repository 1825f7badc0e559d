//! The operations by the kernels of `ddm-kernels`, for tensors on burn's flex.

use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, Linear, PaddingConfig2d};
use burn::tensor::Tensor;
use ddm_kernels::burn::{self as kernels, ConvPlus, GroupNormOptions};
use ddm_kernels::conv::ConvOptions;

use super::AttentionOptions;
use super::packing::Weights;
use super::plain::parameter;

/// Returns the settings of a layer for an image of this height and width.
fn options(layer: &Conv2d, size: [usize; 2]) -> ConvOptions {
    let [top, left, bottom, right] = match layer.padding {
        PaddingConfig2d::Valid => [0; 4],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [top, left, bottom, right],
        PaddingConfig2d::Same => {
            // As burn pads: the odd zero below and on the right.
            let [rows, cols] = [0, 1].map(|axis| {
                let steps = size[axis].div_ceil(layer.stride[axis]).saturating_sub(1);
                (steps * layer.stride[axis] + layer.kernel_size[axis]).saturating_sub(size[axis])
            });
            [rows / 2, cols / 2, rows.div_ceil(2), cols.div_ceil(2)]
        }
    };
    ConvOptions {
        stride: layer.stride,
        padding_begin: [top, left],
        padding_end: [bottom, right],
        dilation: layer.dilation,
        groups: layer.groups,
    }
}

pub(super) fn conv2d_add(
    weights: &Weights,
    layer: &Conv2d,
    x: Tensor<4>,
    per_sample: Option<Tensor<2>>,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    let [_, height, width, _] = x.dims();
    let options = options(layer, [height, width]);
    let bias = layer.bias.as_ref().map(|bias| parameter(bias, &x));
    let plus = ConvPlus { bias, per_sample, residual };
    if let Some(shape) =
        weights.record_conv(layer.weight.id, x.dims(), layer.weight.dims(), options)
    {
        return Tensor::zeros(shape, (&x.device(), x.dtype()));
    }
    match weights.conv(layer.weight.id) {
        Some(packed) => kernels::conv2d_packed(x, packed, plus, options),
        None => {
            let weight = parameter(&layer.weight, &x);
            kernels::conv2d(x, weight, plus, options)
        }
    }
}

pub(super) fn linear_add<const D: usize>(
    weights: &Weights,
    layer: &Linear,
    x: Tensor<D>,
    residual: Option<Tensor<D>>,
) -> Tensor<D> {
    if weights.record_linear(layer.weight.id) {
        let mut shape = x.dims();
        shape[D - 1] = layer.weight.dims()[1];
        return Tensor::zeros(shape, (&x.device(), x.dtype()));
    }
    let bias = layer.bias.as_ref().map(|bias| parameter(bias, &x));
    match weights.linear(layer.weight.id) {
        Some(packed) => kernels::linear_packed(x, packed, bias, residual),
        None => {
            let weight = parameter(&layer.weight, &x);
            kernels::linear(x, weight, bias, residual)
        }
    }
}

pub(super) fn linear_remembered(weights: &Weights, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    match weights.linear(layer.weight.id) {
        Some(packed) => {
            let bias = layer.bias.as_ref().map(|bias| parameter(bias, &x));
            kernels::linear_remembered(x, packed, bias)
        }
        None => linear_add(weights, layer, x, None),
    }
}

pub(super) fn group_norm(layer: &GroupNorm, x: Tensor<4>, silu: bool) -> Tensor<4> {
    let [gamma, beta] =
        [&layer.gamma, &layer.beta].map(|param| param.as_ref().map(|param| parameter(param, &x)));
    let options = GroupNormOptions { groups: layer.num_groups, epsilon: layer.epsilon, silu };
    kernels::group_norm(x, gamma, beta, options)
}

pub(super) fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    kernels::attention(q, k, v, heads, kernels::AttentionOptions::default())
}

pub(super) fn attention_with(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    options: AttentionOptions,
) -> Tensor<3> {
    let AttentionOptions { bias, causal, scale } = options;
    let ([batch, queries, width], [_, keys, _]) = (q.dims(), k.dims());
    let size = width / heads;
    let q = match scale {
        Some(scale) => q * (scale * (size as f64).sqrt()), // the kernel divides by √d
        None => q,
    };
    let Some(bias) = bias else {
        let options = kernels::AttentionOptions { mask: None, causal };
        return kernels::attention(q, k, v, heads, options);
    };
    let [samples, of_heads, _, _] = bias.dims();
    if of_heads == 1 {
        let mask = bias.expand([samples, 1, queries, keys]).reshape([samples, queries, keys]);
        let options = kernels::AttentionOptions { mask: Some(mask), causal };
        return kernels::attention(q, k, v, heads, options);
    }
    // The kernel's mask is the same for all heads: so each head is a sample.
    let mask = bias.expand([batch, heads, queries, keys]).reshape([batch * heads, queries, keys]);
    let split = |x: Tensor<3>, length| {
        let x = x.reshape([batch, length, heads, size]).swap_dims(1, 2);
        x.reshape([batch * heads, length, size])
    };
    let options = kernels::AttentionOptions { mask: Some(mask), causal };
    let mixed = kernels::attention(split(q, queries), split(k, keys), split(v, keys), 1, options);
    mixed.reshape([batch, heads, queries, size]).swap_dims(1, 2).reshape([batch, queries, width])
}

pub(super) fn normalize<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let gain = Tensor::ones([x.dims()[D - 1]], (&x.device(), x.dtype()));
    kernels::layer_norm(x, gain, None, epsilon)
}
