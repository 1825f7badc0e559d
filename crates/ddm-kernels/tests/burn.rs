//! Operations on burn's tensors that no network here uses yet, against burn's own: results and
//! gradients. (The others are compared in `ddm-models`.)

use burn::tensor::module;
use burn::tensor::ops::{ConvTransposeOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Distribution, Tensor, activation};
use ddm_kernels::burn::{
    AttentionOptions, PackedLinear, attention, conv_transpose2d, linear_packed, linear_remembered,
    resize_bilinear,
};
use ddm_kernels::conv::ConvOptions;

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let device = Device::flex().autodiff();
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad()
}

#[track_caller]
fn assert_close<const D: usize>(what: &str, ours: Tensor<D>, burns: Tensor<D>) {
    assert_eq!(ours.dims(), burns.dims(), "{what}");
    let scale = burns.clone().abs().max().into_scalar::<f32>();
    let error = (ours - burns).abs().max().into_scalar::<f32>();
    assert!(error <= 1e-5 * scale, "{what}: {error:e} of {scale:e}");
}

/// Compares two results and their gradients with respect to x and a parameter.
#[track_caller]
fn compare<const D: usize, const P: usize>(
    ours: Tensor<D>,
    burns: Tensor<D>,
    x: &Tensor<D>,
    parameter: &Tensor<P>,
) {
    assert_close("the result", ours.clone().inner(), burns.clone().inner());
    let weights = random(ours.dims());
    let (ours, burns) =
        ((ours * weights.clone()).sum().backward(), (burns * weights).sum().backward());
    assert_close("the gradient of x", x.grad(&ours).unwrap(), x.grad(&burns).unwrap());
    let of = |gradients| parameter.grad(gradients).unwrap();
    assert_close("the gradient of the parameter", of(&ours), of(&burns));
}

fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

#[test]
fn transposed_convolutions_are_burns() {
    for (stride, padding, extra, dilation, groups, kernel) in [
        ([2, 2], [1, 1], [1, 1], [1, 1], 1, [3, 3]),
        ([1, 1], [1, 1], [0, 0], [1, 1], 1, [3, 3]),
        ([2, 3], [0, 1], [0, 2], [1, 1], 2, [4, 3]),
        ([2, 2], [0, 0], [0, 0], [2, 1], 1, [2, 5]),
    ] {
        let x = random([2, 5, 4, 12]);
        let weight = random([12, 8 / groups, kernel[0], kernel[1]]);
        let bias = random([8]);
        let options =
            ConvOptions { stride, padding_begin: padding, padding_end: padding, dilation, groups };
        let ours = || {
            let bias = Some(bias.clone());
            conv_transpose2d(x.clone(), weight.clone(), bias, options, extra)
        };
        let burns = || {
            let options = ConvTransposeOptions::new(stride, padding, extra, dilation, groups);
            let x = channels_first(x.clone());
            module::conv_transpose2d(x, weight.clone(), Some(bias.clone()), options)
                .permute([0, 2, 3, 1])
        };
        compare(ours(), burns(), &x, &weight);
        compare(ours(), burns(), &x, &bias);
    }
}

#[test]
fn masked_and_causal_attention_is_the_softmax_of_the_scores() {
    let (x, k, v) = (random([2, 6, 16]), random([2, 6, 16]), random([2, 6, 16]));
    let split = |x: Tensor<3>| x.reshape([2, 6, 4, 4]).swap_dims(1, 2);
    let written_out = |mask: Tensor<3>| {
        let scores = split(x.clone()).matmul(split(k.clone()).swap_dims(2, 3)) / 2.0;
        let weights = activation::softmax(scores + mask.unsqueeze_dim::<4>(1), 3);
        weights.matmul(split(v.clone())).swap_dims(1, 2).reshape([2, 6, 16])
    };
    let ours = |options| attention(x.clone(), k.clone(), v.clone(), 4, options);
    let mask = random([1, 6, 6]).detach();
    let masked = AttentionOptions { mask: Some(mask.clone()), causal: false };
    compare(ours(masked), written_out(mask), &x, &k);
    let future: Vec<f32> =
        (0..36).map(|i| if i % 6 > i / 6 { f32::NEG_INFINITY } else { 0.0 }).collect();
    let future = Tensor::<1>::from_floats(future.as_slice(), &x.device()).reshape([1, 6, 6]);
    let causal = AttentionOptions { mask: None, causal: true };
    compare(ours(causal), written_out(future), &x, &v);
}

#[test]
fn bilinear_resizing_is_burns() {
    let parameter = random([1, 5, 7, 3]);
    for size in [[10, 14], [4, 3], [5, 9], [1, 1]] {
        let x = random([2, 5, 7, 3]);
        let scaled = || x.clone() * parameter.clone();
        let burns = module::interpolate(
            channels_first(scaled()),
            InterpolateOptions::new(InterpolateMode::Bilinear)
                .with_align_corners(false)
                .with_output_size(size),
        );
        compare(resize_bilinear(scaled(), size), burns.permute([0, 2, 3, 1]), &x, &parameter);
    }
}

/// More rows than are remembered, some of them in several batches and twice in one.
#[test]
fn remembered_products_are_those_that_are_computed() {
    let weights = PackedLinear::new(random([24, 40]).inner());
    let (rows, bias) = (random([200, 24]), random([40]));
    for (first, count) in [(0, 100), (50, 100), (60, 3), (0, 200), (199, 1)] {
        let x = || {
            let batch = rows.clone().narrow(0, first, count);
            Tensor::cat(vec![batch.clone(), batch], 0)
        };
        let ours = linear_remembered(x(), &weights, Some(bias.clone()));
        let computed = linear_packed(x(), &weights, Some(bias.clone()), None);
        assert_eq!(ours.to_data(), computed.to_data(), "rows from {first}");
        compare(ours, computed, &rows, &bias);
    }
}
