//! Attention with options, norms and activations: against their definitions, and burn's layers.

use burn::nn::{LayerNormConfig, RmsNormConfig};
use burn::tensor::activation;
use ddm_models::blocks::{Activation, AttentionOptions, Ops, plain};

use super::*;

/// Checks that a and b agree to the rounding of f32.
fn same<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
    assert_eq!(a.dims(), b.dims());
    let size: f32 = b.clone().abs().max().into_scalar();
    let error = distance(a, b);
    assert!(error <= 3e-6 * size, "{error:e} of {size}");
}

/// Queries, keys and values of 2 samples and 3 heads of 5 channels.
fn inputs(queries: usize, keys: usize, device: &Device) -> [Tensor<3>; 3] {
    let all = waves([2, queries + 2 * keys, 15], device);
    let part = |from, length| all.clone().narrow(1, from, length);
    [part(0, queries), part(queries, keys), part(queries + keys, keys)]
}

#[test]
fn attention_adds_its_bias_to_the_scores() {
    let (device, ops) = (Device::flex(), Ops::default());
    let [q, k, v] = inputs(4, 7, &device);
    for shape in
        [[1, 1, 1, 7], [2, 1, 1, 7], [1, 3, 4, 7], [2, 3, 4, 7], [2, 1, 4, 7], [1, 3, 1, 7]]
    {
        let bias = waves(shape, &device) * 2.0;
        for scale in [None, Some(1.0), Some(0.3)] {
            let options = AttentionOptions { bias: Some(bias.clone()), causal: false, scale };
            let found = ops.attention_with(q.clone(), k.clone(), v.clone(), 3, options);
            // Head by head and sample by sample.
            let expected = (0..2).map(|sample| {
                let heads = (0..3).map(|head| {
                    let part = |x: &Tensor<3>| {
                        let x = x.clone().narrow(0, sample, 1).narrow(2, 5 * head, 5);
                        x.squeeze_dim::<2>(0)
                    };
                    let [samples, heads, _, _] = shape;
                    let bias = bias.clone().narrow(0, sample.min(samples - 1), 1);
                    let bias = bias.narrow(1, head.min(heads - 1), 1).expand([1, 1, 4, 7]);
                    let scale = scale.unwrap_or(1.0 / 5.0_f64.sqrt());
                    let scores = part(&q).matmul(part(&k).transpose()) * scale;
                    let weights = activation::softmax(scores + bias.reshape([4, 7]), 1);
                    weights.matmul(part(&v))
                });
                Tensor::cat(heads.collect(), 1).unsqueeze::<3>()
            });
            same(found, Tensor::cat(expected.collect(), 0));
        }
    }
}

#[test]
fn causal_attention_does_not_see_what_is_later() {
    let (device, ops) = (Device::flex(), Ops::default());
    let [q, k, v] = inputs(6, 6, &device);
    let causal = AttentionOptions { causal: true, ..Default::default() };
    let seen = |k: Tensor<3>, v: Tensor<3>| ops.attention_with(q.clone(), k, v, 3, causal.clone());
    let found = seen(k.clone(), v.clone());
    same(found.clone(), plain::attention_with(q.clone(), k.clone(), v.clone(), 3, causal.clone()));
    // The first query sees the first key alone, the last all of them.
    same(found.clone().narrow(1, 0, 1), v.clone().narrow(1, 0, 1));
    let all = ops.attention(q.clone(), k.clone(), v.clone(), 3);
    same(found.clone().narrow(1, 5, 1), all.narrow(1, 5, 1));
    let change = |x: Tensor<3>| {
        let last = x.clone().narrow(1, 4, 2) * -3.0;
        Tensor::cat(vec![x.narrow(1, 0, 4), last], 1)
    };
    let changed = seen(change(k), change(v));
    assert_eq!(distance(changed.narrow(1, 0, 4), found.narrow(1, 0, 4)), 0.0);
}

#[test]
fn a_bias_has_a_gradient() {
    let (device, ops) = (Device::flex().autodiff(), Ops::default());
    let [q, k, v] = inputs(4, 7, &device);
    let bias = waves([1, 3, 4, 7], &device).require_grad();
    let options = AttentionOptions { bias: Some(bias.clone()), ..Default::default() };
    let out = ops.attention_with(q, k, v, 3, options);
    let gradients = (out * waves([2, 4, 15], &device)).sum().backward();
    let gradient = bias.grad(&gradients).unwrap();
    assert!(gradient.clone().abs().max().into_scalar::<f32>() > 1e-3);
    // The weights of a query add up to 1, whatever is added to all of its scores.
    let sums = gradient.sum_dim(3).abs().max().into_scalar::<f32>();
    assert!(sums < 1e-5, "{sums:e}");
}

#[test]
fn norms_are_burns() {
    let (device, ops) = (Device::flex(), Ops::default());
    let x = waves([2, 3, 10], &device) * 3.0 + 1.0;
    let layer = LayerNormConfig::new(10).with_epsilon(1e-3).init(&device);
    same(ops.normalize(x.clone(), 1e-3), layer.forward(x.clone()));
    same(plain::normalize(x.clone(), 1e-3), layer.forward(x.clone()));
    let layer = RmsNormConfig::new(10).with_epsilon(1e-3).init(&device).map(&mut Fill);
    same(ops.rms_norm(&layer, x.clone()), layer.forward(x.clone()));
    // Squares that f16 does not hold.
    let large = (x * 300.0).cast(DType::F16);
    let layer = RmsNormConfig::new(10).init(&device).map(&mut Cast(DType::F16));
    for normal in [ops.rms_norm(&layer, large.clone()), ops.normalize(large, 1e-5)] {
        assert_eq!(normal.dtype(), DType::F16);
        let size: f32 = normal.cast(DType::F32).square().mean().into_scalar();
        assert!((size - 1.0).abs() < 0.01, "{size}");
    }
}

#[test]
fn activations_are_their_definitions() {
    let device = Device::flex();
    let x = waves([1000], &device) * 4.0;
    same(Activation::GeluTanh.forward(x.clone()), activation::gelu_approximate(x.clone()));
    same(Activation::Gelu.forward(x.clone()), activation::gelu(x.clone()));
    same(Activation::Silu.forward(x.clone()), activation::silu(x.clone()));
    same(Activation::Relu.forward(x.clone()), x.clone().clamp_min(0.0));
    let quick = x.clone() / ((x.clone() * -1.702).exp() + 1.0);
    same(Activation::QuickGelu.forward(x.clone()), quick);
    // The three forms of GELU differ by what they are known to differ by.
    for (form, bound) in [(Activation::GeluTanh, 1e-3), (Activation::QuickGelu, 0.025)] {
        let error = distance(form.forward(x.clone()), Activation::Gelu.forward(x.clone()));
        assert!(error > bound / 10.0 && error < bound, "{form:?}: {error:e}");
    }
}
