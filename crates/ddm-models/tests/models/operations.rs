//! The operations of the networks, channels-last, against burn's layers, channels-first.

use burn::nn::conv::Conv2dConfig;
use burn::nn::{GroupNormConfig, LinearConfig, PaddingConfig2d};
use burn::tensor::activation;

use super::*;
use crate::blocks::plain::{to_channels_first, to_channels_last};
use crate::blocks::{Ops, plain};

/// Checks that a and b agree to the rounding of f32.
fn same<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
    assert_eq!(a.dims(), b.dims());
    let size: f32 = b.clone().abs().max().into_scalar();
    assert!(distance(a, b) <= 2e-6 * size, "{size}");
}

#[test]
fn convolutions_are_burns() {
    let (device, ops) = (Device::flex(), Ops::default());
    let explicit = PaddingConfig2d::Explicit;
    let config = |kernel| Conv2dConfig::new([4, 6], kernel).with_padding(explicit(1, 1, 1, 1));
    let layers = [
        config([3, 3]),
        config([3, 3]).with_stride([2, 2]),
        config([3, 3]).with_stride([2, 2]).with_padding(explicit(0, 0, 1, 1)),
        config([3, 3]).with_padding(explicit(2, 0, 1, 3)).with_dilation([2, 1]),
        config([3, 3]).with_groups(2).with_bias(false),
        config([1, 1]).with_padding(PaddingConfig2d::Valid),
        config([1, 1]),
        config([1, 1]).with_padding(PaddingConfig2d::Same).with_bias(false),
        config([1, 1]).with_stride([2, 2]).with_padding(PaddingConfig2d::Valid),
        config([1, 1]).with_groups(2).with_padding(PaddingConfig2d::Valid),
    ];
    let x = waves([2, 4, 6, 8], &device);
    for layer in layers {
        let layer = layer.init(&device);
        let expected = layer.forward(x.clone());
        let found = ops.conv2d(&layer, to_channels_last(x.clone()));
        same(to_channels_first(found), expected.clone());

        let [batch, channels, height, width] = expected.dims();
        let residual = waves([batch, channels, height, width], &device);
        for rows in [1, batch] {
            let shift = waves([rows, channels], &device);
            let expected =
                expected.clone() + residual.clone() + shift.clone().reshape([rows, channels, 1, 1]);
            let residual = Some(to_channels_last(residual.clone()));
            let x = to_channels_last(x.clone());
            let found = ops.conv2d_add(&layer, x, Some(shift), residual);
            same(to_channels_first(found), expected);
        }
    }
}

#[test]
fn upsampling_repeats_pixels_and_convolves() {
    let (device, ops) = (Device::flex(), Ops::default());
    let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
    let layer = Conv2dConfig::new([3, 5], [3, 3]).with_padding(padding).init(&device);
    let x = waves([2, 3, 4, 5], &device);
    let larger = x.clone().repeat_dim(3, 2).reshape([2, 3, 4, 2, 5]);
    // Pixels beside each other: repeat_dim puts whole rows beside each other instead.
    let larger = larger.swap_dims(3, 4).reshape([2, 3, 4, 10]);
    let larger = Tensor::stack::<5>(vec![larger.clone(), larger], 3).reshape([2, 3, 8, 10]);
    let found = ops.upsample_conv2d(&layer, to_channels_last(x));
    same(to_channels_first(found), layer.forward(larger));
}

#[test]
fn group_norm_is_burns_for_any_offset() {
    let (device, ops) = (Device::flex(), Ops::default());
    let layer = GroupNormConfig::new(2, 6).with_epsilon(1e-3).init(&device).map(&mut Fill);
    let x = waves([3, 6, 4, 5], &device);
    let expected = layer.forward(x.clone());
    same(to_channels_first(ops.group_norm(&layer, to_channels_last(x.clone()))), expected.clone());
    let found = ops.group_norm_silu(&layer, to_channels_last(x.clone()));
    same(to_channels_first(found), activation::silu(expected.clone()));
    // A mean far from 0 does not cancel the variance.
    let found = to_channels_first(ops.group_norm(&layer, to_channels_last(x + 300.0)));
    assert!(distance(found, expected) < 1e-4);
    let bare = GroupNormConfig::new(3, 6).with_affine(false).init(&device);
    let x = waves([2, 6, 3, 3], &device) * 4.0;
    let found = ops.group_norm(&bare, to_channels_last(x.clone()));
    same(to_channels_first(found), bare.forward(x));
}

#[test]
fn attention_treats_each_head_alone() {
    let (device, ops) = (Device::flex(), Ops::default());
    // Queries of an image of 5 pixels, keys of a text of 3: cross-attention with 2 heads.
    let (q, k) = (waves([2, 5, 8], &device), waves([2, 3, 8], &device));
    let v = waves([2, 3, 8], &device).flip([1, 2]);
    let found = ops.attention(q.clone(), k.clone(), v.clone(), 2);
    assert_eq!(found.dims(), [2, 5, 8]);
    for head in 0..2 {
        let [q, k, v] = [&q, &k, &v].map(|x| x.clone().narrow(2, 4 * head, 4));
        let weights = activation::softmax(q.matmul(k.swap_dims(1, 2)) / 2.0, 2);
        same(found.clone().narrow(2, 4 * head, 4), weights.matmul(v));
    }
    // Narrowed views of one projection.
    let all = Tensor::cat(vec![k.clone(), v.clone(), k.clone()], 2);
    let part = |i: usize| all.clone().narrow(2, 8 * i, 8);
    same(ops.attention(part(0), part(2), part(1), 4), ops.attention(k.clone(), k, v, 4));
}

#[test]
fn sums_and_joints_are_those_of_tensors() {
    let (device, ops) = (Device::flex(), Ops::default());
    let layer = LinearConfig::new(4, 3).init(&device);
    let (x, residual) = (waves([2, 5, 4], &device), waves([2, 5, 3], &device));
    let expected = layer.forward(x.clone());
    same(ops.linear(&layer, x.clone()), expected.clone());
    same(ops.linear_add(&layer, x, residual.clone()), expected + residual);
    let (a, b) = (waves([2, 3, 4, 2], &device), waves([2, 3, 4, 5], &device));
    let joint = ops.concat(a.clone(), b.clone());
    assert_eq!(distance(joint.clone().narrow(3, 0, 2), a), 0.0);
    assert_eq!(distance(joint.narrow(3, 2, 5), b.clone()), 0.0);
    assert_eq!(
        distance(
            plain::upsample_nearest(b.clone()).slice([0..2, 1..2, 3..4]),
            b.slice([0..2, 0..1, 1..2])
        ),
        0.0
    );
}
