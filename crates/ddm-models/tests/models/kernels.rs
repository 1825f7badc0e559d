//! The operations by kernels against burn's own, on flex: results and gradients.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{GroupNormConfig, Initializer, LayerNormConfig, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor};
use ddm_models::blocks::{Ops, plain};

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Asserts that two tensors agree to 1e-5 of the largest number, or 2e-5 for gradients, in which
/// thousands of numbers are summed. Sums of numbers about 1 may be small, but are rounded as large ones.
fn assert_close<const D: usize>(name: &str, ours: Tensor<D>, burns: Tensor<D>, bound: f64) {
    assert_eq!(ours.dims(), burns.dims(), "{name}");
    let scale = f64::from(burns.clone().abs().max().into_scalar::<f32>()).max(1.0);
    let error: f64 = (ours - burns).abs().max().into_scalar::<f32>().into();
    assert!(error <= bound * scale, "{name}: {error:e} of {scale:e}");
}

/// Compares an operation of x, and the gradients of x and of `parameter`.
fn compare<const D: usize, const E: usize, const P: usize>(
    name: &str,
    shape: [usize; D],
    parameter: Tensor<P>,
    ours: impl Fn(Tensor<D>) -> Tensor<E>,
    burns: impl Fn(Tensor<D>) -> Tensor<E>,
) {
    let device = parameter.device();
    let x = random(shape, &device).require_grad();
    let (y, reference) = (ours(x.clone()), burns(x.clone()));
    assert_close(name, y.clone().inner(), reference.clone().inner(), 1e-5);
    let weights = random(y.dims(), &device);
    let (gradients, expected) =
        ((y * weights.clone()).sum().backward(), (reference * weights).sum().backward());
    let of = |t: &Tensor<D>| t.grad(&gradients).unwrap();
    assert_close(&format!("{name}, gradient of x"), of(&x), x.grad(&expected).unwrap(), 2e-5);
    let (ours, burns) = (parameter.grad(&gradients), parameter.grad(&expected));
    assert_close(&format!("{name}, gradient of the weights"), ours.unwrap(), burns.unwrap(), 2e-5);
}

#[test]
fn convolutions_are_burns() {
    let device = Device::flex().autodiff();
    let ops = Ops::default();
    let cases = [
        // batch, height, width, in, out, kernel, stride, padding, dilation, groups
        (2, 16, 16, 8, 16, [3, 3], 1, [1, 1, 1, 1], 1, 1),
        (3, 7, 9, 12, 20, [3, 3], 1, [1, 1, 1, 1], 1, 1),
        (1, 4, 4, 40, 33, [3, 3], 1, [1, 1, 1, 1], 1, 1),
        (2, 5, 6, 16, 8, [3, 3], 1, [0, 0, 0, 0], 1, 1),
        (2, 8, 8, 16, 16, [3, 3], 2, [0, 0, 1, 1], 1, 1),
        (2, 9, 8, 16, 16, [3, 3], 2, [1, 1, 1, 1], 1, 1),
        (2, 12, 12, 1, 32, [3, 3], 1, [1, 1, 1, 1], 1, 1),
        (2, 12, 12, 32, 1, [3, 3], 1, [1, 1, 1, 1], 1, 1),
        (2, 6, 7, 24, 40, [1, 1], 1, [0, 0, 0, 0], 1, 1),
        (2, 9, 9, 8, 12, [3, 3], 1, [2, 2, 2, 2], 2, 2),
        (1, 9, 11, 6, 9, [5, 2], 3, [2, 1, 2, 1], 1, 3),
        (1, 1, 1, 16, 16, [3, 3], 1, [1, 1, 1, 1], 1, 1),
    ];
    for case @ (
        n,
        h,
        w,
        c_in,
        c_out,
        kernel,
        stride,
        [top, left, bottom, right],
        dilation,
        groups,
    ) in cases
    {
        let layer = Conv2dConfig::new([c_in, c_out], kernel)
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right))
            .with_dilation([dilation; 2])
            .with_groups(groups)
            .init(&device);
        compare(
            &format!("{case:?}"),
            [n, h, w, c_in],
            layer.weight.val(),
            |x| ops.conv2d(&layer, x),
            |x| plain::conv2d(&layer, x),
        );
        let bias = layer.bias.as_ref().unwrap().val();
        compare(
            &format!("{case:?} (bias)"),
            [n, h, w, c_in],
            bias,
            |x| ops.conv2d(&layer, x),
            |x| plain::conv2d(&layer, x),
        );
    }
}

#[test]
fn what_a_convolution_adds_is_burns() {
    let device = Device::flex().autodiff();
    let layer = Conv2dConfig::new([16, 24], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(&device);
    for rows in [1, 3] {
        let shift = random([rows, 24], &device).require_grad();
        let residual = random([3, 10, 10, 24], &device).require_grad();
        let with = |conv: &dyn Fn(Tensor<4>, Option<Tensor<2>>, Option<Tensor<4>>) -> Tensor<4>,
                    x| conv(x, Some(shift.clone()), Some(residual.clone()));
        let ours = |x, shift, residual| Ops::default().conv2d_add(&layer, x, shift, residual);
        let burns = |x, shift, residual| plain::conv2d_add(&layer, x, shift, residual);
        let shape = [3, 10, 10, 16];
        compare("the shift", shape, shift.clone(), |x| with(&ours, x), |x| with(&burns, x));
        compare("the residual", shape, residual.clone(), |x| with(&ours, x), |x| with(&burns, x));
    }
}

#[test]
fn layers_are_burns() {
    let device = Device::flex().autodiff();
    let ops = Ops::default();
    let linear = LinearConfig::new(33, 20).init(&device);
    let (ours, burns) = (|x| ops.linear(&linear, x), |x| plain::linear(&linear, x));
    compare("linear", [5, 7, 33], linear.weight.val(), ours, burns);
    let residual = random([5, 7, 20], &device);
    compare(
        "linear with a residual",
        [5, 7, 33],
        linear.bias.as_ref().unwrap().val(),
        |x| ops.linear_add(&linear, x, residual.clone()),
        |x| residual.clone() + plain::linear(&linear, x),
    );

    let mut norm = GroupNormConfig::new(4, 24).init(&device);
    let normal = Initializer::Normal { mean: 1.0, std: 0.5 };
    norm.gamma = Some(normal.init([24], &device));
    norm.beta = Some(normal.init([24], &device));
    let gamma = norm.gamma.as_ref().unwrap().val();
    let beta = norm.beta.as_ref().unwrap().val();
    let shape = [3, 5, 6, 24];
    for parameter in [gamma, beta] {
        let (ours, burns) = (|x| ops.group_norm(&norm, x), |x| plain::group_norm(&norm, x));
        compare("group norm", shape, parameter.clone(), ours, burns);
        let ours = |x| ops.group_norm_silu(&norm, x);
        let burns = |x| plain::silu(plain::group_norm(&norm, x));
        compare("group norm and SiLU", shape, parameter, ours, burns);
    }
    let layer = LayerNormConfig::new(19).init(&device);
    let (ours, burns) = (|x| ops.layer_norm(&layer, x), |x| plain::layer_norm(&layer, x));
    compare("layer norm", [4, 3, 19], layer.gamma.val(), ours, burns);
}

#[test]
fn other_operations_are_burns() {
    let device = Device::flex().autodiff();
    let ops = Ops::default();
    let other = random([2, 5, 4, 7], &device).require_grad();
    let times = |x: Tensor<4>| x * other.clone();
    compare("SiLU", [2, 5, 4, 7], other.clone(), |x| ops.silu(times(x)), |x| plain::silu(times(x)));
    let (ours, burns) = (|x| ops.concat(x, other.clone()), |x| plain::concat(x, other.clone()));
    compare("concat", [2, 5, 4, 10], other.clone(), ours, burns);
    let ours = |x| ops.upsample_nearest(times(x));
    let burns = |x| plain::upsample_nearest(times(x));
    compare("upsample", [2, 5, 4, 7], other.clone(), ours, burns);
    for (lq, lk, heads) in [(49, 49, 8), (10, 3, 1), (1, 64, 4)] {
        let v = random([2, lk, 32], &device).require_grad();
        let k = random([2, lk, 32], &device).require_grad();
        let ours = |q| ops.attention(q, k.clone(), v.clone(), heads);
        let burns = |q| plain::attention(q, k.clone(), v.clone(), heads);
        compare("attention (keys)", [2, lq, 32], k.clone(), ours, burns);
        compare("attention (values)", [2, lq, 32], v.clone(), ours, burns);
    }
}

/// Without gradients, from a strided view, and on the tape's balanced strategy: the same numbers.
#[test]
fn every_way_to_an_operation_gives_the_same() {
    let device = Device::flex();
    let ops = Ops::default();
    let layer = Conv2dConfig::new([8, 8], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(&device);
    let x = random([2, 8, 6, 6], &device);
    let view = x.clone().permute([0, 2, 3, 1]);
    let copied = Tensor::from_data(view.clone().into_data(), &device);
    let plain = ops.conv2d(&layer, view.clone()).into_data();
    assert_eq!(plain, ops.conv2d(&layer, copied).into_data(), "a strided view");
    let taped = device.autodiff();
    let on_tape = layer.clone().to_device(&taped);
    let y = ops.conv2d(&on_tape, view.clone().to_device(&taped));
    assert_eq!(plain, y.inner().into_data(), "on the tape");
    let mixed = ops.conv2d(&on_tape.valid(), view).into_data();
    assert_eq!(plain, mixed, "off the tape again");
}
