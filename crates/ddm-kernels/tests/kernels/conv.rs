//! Convolutions and their gradients.

use ddm_kernels::ShapeError;
use ddm_kernels::conv::{Conv2d, ConvMethod, ConvOptions, ConvWeights, Transform};
use ddm_kernels::gemm::Plus;
use proptest::prelude::*;

use crate::compare::{assert_rounded, assert_same_bits, numbers, on_any_threads, wide};

const WINOGRAD: &[ConvMethod] = &[
    ConvMethod::Two(Transform::Once),
    ConvMethod::Four(Transform::Once),
    ConvMethod::Two(Transform::InCall),
    ConvMethod::Four(Transform::InCall),
];

/// Calls `visit(output, input, weight)` for each product of a convolution, by their indices.
fn products(
    [n, h, w, c_in]: [usize; 4],
    [c_out, c_group, kh, kw]: [usize; 4],
    [_, oh, ow, _]: [usize; 4],
    o: ConvOptions,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let per_group = c_out / o.groups;
    for (s, y, x, k) in itertools(n, oh, ow, c_out) {
        for (c, i, j, _) in itertools(c_group, kh, kw, 1) {
            let row = (y * o.stride[0] + i * o.dilation[0]).checked_sub(o.padding_begin[0]);
            let col = (x * o.stride[1] + j * o.dilation[1]).checked_sub(o.padding_begin[1]);
            if let (Some(row), Some(col)) = (row.filter(|&r| r < h), col.filter(|&c| c < w)) {
                let input = ((s * h + row) * w + col) * c_in + k / per_group * c_group + c;
                let weight = ((k * c_group + c) * kh + i) * kw + j;
                visit(((s * oh + y) * ow + x) * c_out + k, input, weight);
            }
        }
    }
}

fn itertools(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a * b * c * d).map(move |i| (i / (b * c * d), i / (c * d) % b, i / d % c, i % d))
}

/// A convolution with all its tensors.
#[derive(Debug)]
struct Case {
    input: [usize; 4],
    weights: [usize; 4],
    options: ConvOptions,
    seed: u64,
}

impl Case {
    fn plan(&self) -> Option<Conv2d> {
        Conv2d::new(self.input, self.weights, self.options).ok()
    }

    /// Checks the forward pass by a method, and the gradients.
    fn check(&self, method: ConvMethod) {
        let Some(conv) = self.plan() else { return };
        let x = numbers(conv.input_len(), 0.0, self.seed);
        let weights = numbers(conv.weights_len(), 0.0, self.seed ^ 1);
        let dy = numbers(conv.output_len(), 0.0, self.seed ^ 2);
        let [n, _, _, c_out] = conv.output_shape();
        let (bias, shift) =
            (numbers(c_out, 0.0, self.seed ^ 3), numbers(n * c_out, 0.0, self.seed));
        let residual = numbers(conv.output_len(), 0.0, self.seed ^ 4);
        let pixels = conv.output_len() / (n * c_out).max(1);

        let mut y: Vec<f64> = wide(&residual);
        for (e, y) in y.iter_mut().enumerate() {
            let (row, channel) = (e / c_out, e % c_out);
            *y += f64::from(bias[channel]) + f64::from(shift[row / pixels * c_out + channel]);
        }
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        products(self.input, self.weights, conv.output_shape(), self.options, |o, i, w| {
            let [x_i, w_i, dy_i] = [x[i], weights[w], dy[o]].map(f64::from);
            y[o] += x_i * w_i;
            dx[i] += w_i * dy_i;
            dw[w] += x_i * dy_i;
        });

        let [_, c_group, kh, kw] = self.weights;
        let (taps, back) = (c_group * kh * kw, c_out / self.options.groups * kh * kw);
        let plus = Plus {
            bias: Some(&bias),
            per_group: Some((&shift, pixels.max(1))),
            residual: Some(&residual),
        };
        let packed = ConvWeights::with_method(&conv, &weights, method);
        let forward = || {
            let mut out = vec![f32::NAN; conv.output_len()];
            conv.forward(&x, &packed, plus, &mut out);
            out
        };
        assert_rounded(&on_any_threads(forward), &y, taps + 3, "output");
        let input = || {
            let mut out = vec![f32::NAN; x.len()];
            conv.backward_input(&dy, &weights, &mut out);
            out
        };
        assert_rounded(&on_any_threads(input), &dx, back, "gradient of x");
        let of_weights = || {
            let mut out = vec![f32::NAN; weights.len()];
            conv.backward_weights(&x, &dy, &mut out);
            out
        };
        assert_rounded(&on_any_threads(of_weights), &dw, n * pixels, "gradient of the weights");
    }
}

/// How many cases of each kind: `DDM_FUZZ=20000` makes 10⁵ of all five.
fn cases() -> ProptestConfig {
    let cases = std::env::var("DDM_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    ProptestConfig::with_cases(cases)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn three_by_three(
        (n, h, w) in (0usize..4, 1usize..20, 1usize..20),
        (c_in, c_out) in (1usize..40, 1usize..40),
        (begin, end) in ([0usize..4, 0usize..4], [0usize..4, 0usize..4]),
        seed: u64,
    ) {
        let options =
            ConvOptions { padding_begin: begin, padding_end: end, ..ConvOptions::default() };
        let case =
            Case { input: [n, h, w, c_in], weights: [c_out, c_in, 3, 3], options, seed };
        for method in [&[ConvMethod::Direct, ConvMethod::Dots], WINOGRAD].concat() {
            case.check(method);
        }
    }

    #[test]
    fn three_by_three_to_few_channels(
        (n, h, w) in (0usize..4, 1usize..20, 1usize..20),
        (c_in, c_out) in (16usize..40, 1usize..5),
        (stride, dilation) in ([1usize..3, 1usize..3], [1usize..3, 1usize..3]),
        seed: u64,
    ) {
        let pad = [2; 2];
        let options = ConvOptions {
            stride,
            dilation,
            padding_begin: pad,
            padding_end: pad,
            ..ConvOptions::default()
        };
        let case =
            Case { input: [n, h, w, c_in], weights: [c_out, c_in, 3, 3], options, seed };
        case.check(ConvMethod::Dots);
    }

    #[test]
    fn three_by_three_of_many_channels(
        (n, h, w) in (1usize..3, 1usize..10, 1usize..10),
        (c_in, c_out) in (60usize..140, 60usize..140),
        seed: u64,
    ) {
        let options =
            ConvOptions { padding_begin: [1; 2], padding_end: [1; 2], ..ConvOptions::default() };
        let case =
            Case { input: [n, h, w, c_in], weights: [c_out, c_in, 3, 3], options, seed };
        for &method in WINOGRAD {
            case.check(method);
        }
    }

    #[test]
    fn any_kernel(
        (n, h, w) in (0usize..4, 1usize..14, 1usize..14),
        (groups, c_in, c_out) in (1usize..4, 1usize..9, 1usize..9),
        kernel in [1usize..6, 1usize..6],
        (stride, dilation) in ([1usize..4, 1usize..4], [1usize..3, 1usize..3]),
        (begin, end) in ([0usize..3, 0usize..3], [0usize..3, 0usize..3]),
        seed: u64,
    ) {
        let options =
            ConvOptions { stride, padding_begin: begin, padding_end: end, dilation, groups };
        let weights = [groups * c_out, c_in, kernel[0], kernel[1]];
        Case { input: [n, h, w, groups * c_in], weights, options, seed }.check(ConvMethod::Direct);
    }

    #[test]
    fn one_by_one(
        (n, h, w) in (0usize..4, 1usize..14, 1usize..14),
        (c_in, c_out) in (1usize..50, 1usize..50),
        seed: u64,
    ) {
        let weights = [c_out, c_in, 1, 1];
        let options = ConvOptions::default();
        Case { input: [n, h, w, c_in], weights, options, seed }.check(ConvMethod::Direct);
    }
}

/// A sample's output has the same bits alone and in a batch, by every method.
#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let same = ConvOptions { padding_begin: [1; 2], padding_end: [1; 2], ..Default::default() };
    for (size, c_in, c_out) in [(28, 32, 32), (14, 64, 64), (7, 64, 128), (16, 130, 20), (4, 3, 40)]
    {
        let plan = |n| Conv2d::new([n, size, size, c_in], [c_out, c_in, 3, 3], same).unwrap();
        let (one, many) = (plan(1), plan(9));
        assert_eq!(ConvMethod::fastest(&one), ConvMethod::fastest(&many));
        let x = numbers(many.input_len(), 0.0, 5);
        let weights = ConvWeights::new(&one, &numbers(one.weights_len(), 0.0, 6));
        let run = |conv: &Conv2d, x: &[f32]| {
            let mut out = vec![f32::NAN; conv.output_len()];
            conv.forward(x, &weights, Plus::default(), &mut out);
            out
        };
        let all = run(&many, &x);
        let inputs = x.chunks(one.input_len());
        for (x, out) in inputs.zip(all.chunks(one.output_len())) {
            assert_same_bits(&run(&one, x), out, "a sample");
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let plan = |input, weights, options| Conv2d::new(input, weights, options).unwrap_err();
    let plain = ConvOptions::default();
    let zero = |what| ShapeError::Zero { what };
    assert_eq!(plan([1, 0, 4, 2], [2, 2, 1, 1], plain), zero("the image's height"));
    assert_eq!(plan([1, 4, 4, 2], [0, 2, 1, 1], plain), zero("the number of output channels"));
    let still = ConvOptions { stride: [0, 1], ..plain };
    assert_eq!(plan([1, 4, 4, 2], [2, 2, 1, 1], still), zero("the stride"));
    let says = |e: ShapeError| e.to_string();
    assert_eq!(
        says(plan([1, 4, 4, 3], [2, 2, 1, 1], plain)),
        "3 input channels cannot be divided into 1 groups"
    );
    assert_eq!(
        says(plan([1, 4, 2, 2], [2, 2, 3, 3], plain)),
        "a kernel that spans 3 pixels does not fit in 2, the width with padding"
    );
}
