//! Group and layer normalization.

use ddm_kernels::{group_norm, group_norm::GroupNorm, layer_norm};
use proptest::prelude::*;

use crate::compare::{
    assert_near, assert_same_bits, cases, differences, numbers, on_any_threads, wide,
};

const EPS: f64 = 1e-5;

/// The definition: of `x` as `[n, pixels, channels]`.
fn exact(
    x: &[f64],
    gamma: &[f64],
    beta: &[f64],
    [n, pixels, c]: [usize; 3],
    groups: usize,
    silu: bool,
) -> Vec<f64> {
    let (mut out, per) = (vec![0.0; x.len()], c / groups);
    for (b, g) in (0..n * groups).map(|i| (i / groups, i % groups)) {
        let at = |i: usize| (b * pixels + i / per) * c + g * per + i % per;
        let count = pixels * per;
        let mean = (0..count).map(|i| x[at(i)]).sum::<f64>() / count as f64;
        let var = (0..count).map(|i| (x[at(i)] - mean).powi(2)).sum::<f64>() / count as f64;
        for i in 0..count {
            let k = g * per + i % per;
            let y = gamma[k] * (x[at(i)] - mean) / (var + EPS).sqrt() + beta[k];
            out[at(i)] = if silu { y / (1.0 + (-y).exp()) } else { y };
        }
    }
    out
}

/// A group norm with its numbers.
#[derive(Clone, Debug)]
struct Case {
    shape: [usize; 3],
    groups: usize,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    silu: bool,
}

impl Case {
    fn new(shape: [usize; 3], groups: usize, silu: bool, seed: u64) -> Self {
        let (gamma, beta) = (numbers(shape[2], 1.0, seed ^ 11), numbers(shape[2], 0.0, seed ^ 12));
        Self { shape, groups, gamma, beta, silu }
    }

    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn norm(&self, n: usize) -> GroupNorm<'_> {
        let Self { shape: [_, pixels, c], groups, gamma, beta, silu } = self;
        let shape = [n, *pixels, *c];
        GroupNorm { shape, groups: *groups, gamma, beta, eps: EPS, silu: *silu }
    }

    /// The normalized images and the statistics.
    fn forward(&self, n: usize, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut out, mut stats) = (vec![f32::NAN; x.len()], vec![f32::NAN; 2 * n * self.groups]);
        group_norm::forward(self.norm(n), x, &mut out, &mut stats);
        (out, stats)
    }

    /// The gradients of x, gamma and beta.
    fn backward(&self, n: usize, x: &[f32], dy: &[f32]) -> [Vec<f32>; 3] {
        let (_, stats) = self.forward(n, x);
        let c = self.shape[2];
        let mut d = [vec![f32::NAN; x.len()], vec![f32::NAN; c], vec![f32::NAN; c]];
        let [dx, dgamma, dbeta] = &mut d;
        group_norm::backward(self.norm(n), x, &stats, dy, dx, dgamma, dbeta);
        d
    }

    fn exact(&self, x: &[f64], gamma: &[f64], beta: &[f64]) -> Vec<f64> {
        exact(x, gamma, beta, self.shape, self.groups, self.silu)
    }

    fn assert_gradients(&self, x: &[f32], dy: &[f32], tolerance: f64) {
        let [dx, dgamma, dbeta] = self.backward(self.shape[0], x, dy);
        let (x, dy, gamma, beta) = (wide(x), wide(dy), wide(&self.gamma), wide(&self.beta));
        let expected = differences(&x, &dy, |x| self.exact(x, &gamma, &beta));
        assert_near(&dx, &expected, tolerance, "dx");
        let expected = differences(&gamma, &dy, |gamma| self.exact(&x, gamma, &beta));
        assert_near(&dgamma, &expected, tolerance, "dgamma");
        let expected = differences(&beta, &dy, |beta| self.exact(&x, &gamma, beta));
        assert_near(&dbeta, &expected, tolerance, "dbeta");
    }
}

/// Returns numbers within 0.7 of a mean that changes by at least 2 from each `run` to the next.
///
/// Where the few numbers of a group are nearly equal, the gradient is a difference of terms that are
/// larger by orders of magnitude, and no `f32` gives it to five digits.
fn spread(len: usize, run: usize, seed: u64) -> Vec<f32> {
    let mean = |i: usize| (i / run * 7 % 5) as f32;
    numbers(len, 0.3, seed).iter().enumerate().map(|(i, x)| 0.2 * x + mean(i)).collect()
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn group_norm_is_the_definition(
        n in 0usize..4, pixels in 0usize..40, groups in 1usize..9, per in 1usize..20, silu: bool, seed: u64,
    ) {
        let case = Case::new([n, pixels, groups * per], groups, silu, seed);
        let x = numbers(case.len(), 0.3, seed);
        let expected = case.exact(&wide(&x), &wide(&case.gamma), &wide(&case.beta));
        assert_near(&case.forward(n, &x).0, &expected, 2e-6, "images");
    }

    #[test]
    fn the_gradients_of_group_norm_are_those_of_the_definition(
        n in 1usize..3, pixels in 2usize..8, groups in 1usize..4, per in 1usize..7, silu: bool, seed: u64,
    ) {
        let case = Case::new([n, pixels, groups * per], groups, silu, seed);
        let x = spread(case.len(), case.shape[2], seed);
        case.assert_gradients(&x, &numbers(case.len(), 0.0, seed ^ 1), 1e-5);
    }

    #[test]
    fn layer_norm_is_the_definition_and_so_are_its_gradients(
        rows in 0usize..5, c in prop_oneof![2usize..40, Just(64), Just(67), Just(131)], seed: u64,
    ) {
        let x = spread(rows * c, 1, seed);
        let dy = numbers(x.len(), 0.0, seed ^ 1);
        let (gamma, beta) = (numbers(c, 1.0, seed ^ 2), numbers(c, 0.0, seed ^ 3));
        let (out, stats) = layer_norm_of(&x, &gamma, &beta);
        let f = |x: &[f64], gamma: &[f64], beta: &[f64]| exact(x, gamma, beta, [rows, 1, c], 1, false);
        let (x64, gamma64, beta64) = (wide(&x), wide(&gamma), wide(&beta));
        assert_near(&out, &f(&x64, &gamma64, &beta64), 2e-6, "rows");
        let [dx, dgamma, dbeta] = layer_norm_gradients(&x, &stats, &dy, &gamma);
        let dy = wide(&dy);
        assert_near(&dx, &differences(&x64, &dy, |x| f(x, &gamma64, &beta64)), 1e-5, "dx");
        assert_near(&dgamma, &differences(&gamma64, &dy, |g| f(&x64, g, &beta64)), 1e-5, "dgamma");
        assert_near(&dbeta, &differences(&beta64, &dy, |b| f(&x64, &gamma64, b)), 1e-5, "dbeta");
    }
}

fn layer_norm_of(x: &[f32], gamma: &[f32], beta: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut out = vec![f32::NAN; x.len()];
    let mut stats = vec![f32::NAN; x.len() / gamma.len() * 2];
    layer_norm::forward(x, gamma, beta, EPS, &mut out, &mut stats);
    (out, stats)
}

fn layer_norm_gradients(x: &[f32], stats: &[f32], dy: &[f32], gamma: &[f32]) -> [Vec<f32>; 3] {
    let c = gamma.len();
    let mut d = [vec![f32::NAN; x.len()], vec![f32::NAN; c], vec![f32::NAN; c]];
    let [dx, dgamma, dbeta] = &mut d;
    layer_norm::backward(x, stats, dy, gamma, dx, dgamma, dbeta);
    d
}

#[test]
fn a_large_mean_does_not_cancel() {
    for (pixels, c, groups) in [(1000, 32, 8), (3000, 3, 3), (64, 320, 32)] {
        let case = Case::new([1, pixels, c], groups, false, 9);
        let x = numbers(case.len(), 1e3, 9);
        let expected = case.exact(&wide(&x), &wide(&case.gamma), &wide(&case.beta));
        assert_near(&case.forward(1, &x).0, &expected, 1e-6, "images");
        let expected =
            exact(&wide(&x), &wide(&case.gamma), &wide(&case.beta), [pixels, 1, c], 1, false);
        assert_near(&layer_norm_of(&x, &case.gamma, &case.beta).0, &expected, 1e-6, "rows");
    }
}

#[test]
fn neither_do_a_pixel_far_from_the_others_or_channels_far_apart() {
    let case = Case::new([1, 500, 32], 4, false, 3);
    let mut x = numbers(case.len(), 0.0, 3);
    x[..32].fill(1e4);
    let check = |x: &[f32]| {
        let expected = case.exact(&wide(x), &wide(&case.gamma), &wide(&case.beta));
        assert_near(&case.forward(1, x).0, &expected, 2e-6, "images");
    };
    check(&x);
    x.iter_mut().enumerate().for_each(|(i, x)| *x += (i % 32 * 100) as f32);
    check(&x);
}

#[test]
fn equal_numbers_become_beta() {
    let case = Case::new([1, 300, 12], 3, false, 5);
    let (out, stats) = case.forward(1, &[0.1; 3600]);
    let beta: Vec<f64> = wide(&case.beta).into_iter().cycle().take(3600).collect();
    assert_near(&out, &beta, 1e-6, "images");
    assert!(stats.iter().all(|x| x.is_finite()));
}

#[test]
fn a_number_alone_becomes_beta_and_has_no_gradient() {
    let case = Case::new([2, 1, 7], 7, false, 5);
    let (x, dy) = (numbers(14, 3.0, 1), numbers(14, 0.0, 2));
    assert_same_bits(&case.forward(2, &x).0, &case.beta.repeat(2), "images");
    let [dx, dgamma, _] = case.backward(2, &x, &dy);
    // 1 / √ε times a rounding error.
    assert_near(&dx, &[0.0; 14], 1e-4, "dx");
    assert_same_bits(&dgamma, &[0.0; 7], "dgamma");

    let (out, stats) = layer_norm_of(&x, &case.gamma[..1], &case.beta[..1]);
    assert_same_bits(&out, &case.beta[..1].repeat(14), "rows");
    let [dx, dgamma, _] = layer_norm_gradients(&x, &stats, &dy, &case.gamma[..1]);
    assert_eq!((dx, dgamma), (vec![0.0; 14], vec![0.0]));
}

#[test]
fn group_norm_has_the_same_bits_on_any_threads_and_in_any_batch() {
    for (shape, groups) in [([2, 3000, 32], 8), ([2, 9000, 5], 5), ([3, 70, 644], 4)] {
        let case = Case::new(shape, groups, true, 4);
        let (x, dy) = (numbers(case.len(), 0.5, 4), numbers(case.len(), 0.0, 5));
        let out = on_any_threads(|| case.forward(shape[0], &x).0);
        let dx = on_any_threads(|| case.backward(shape[0], &x, &dy).concat());
        let at = |i: usize| i * shape[1] * shape[2]..(i + 1) * shape[1] * shape[2];
        let mut sums = vec![0.0; 2 * shape[2]];
        for i in 0..shape[0] {
            assert_same_bits(&out[at(i)], &case.forward(1, &x[at(i)]).0, "alone");
            let [alone, dgamma, dbeta] = case.backward(1, &x[at(i)], &dy[at(i)]);
            assert_same_bits(&dx[at(i)], &alone, "gradient alone");
            let alone = wide(&[dgamma, dbeta].concat());
            sums.iter_mut().zip(alone).for_each(|(sum, x)| *sum += x);
        }
        assert_near(&dx[case.len()..], &sums, 1e-6, "dgamma and dbeta are sums over samples");
    }
}

#[test]
fn the_gradients_of_large_images_are_those_of_the_definition() {
    // A derivative in closed form here: differences of so many numbers take too long.
    let case = Case::new([1, 1500, 24], 3, false, 6);
    // The statistics keep the mean in `f32`: 1e3 is within 3e-5.
    for (mean, tolerance) in [(0.5, 1e-6), (1e3, 1e-4)] {
        let (x, dy) = (numbers(case.len(), mean, 6), numbers(case.len(), 0.0, 7));
        let [dx, ..] = case.backward(1, &x, &dy);
        let (x, dy) = (wide(&x), wide(&dy));
        let mut expected = vec![0.0; x.len()];
        for g in 0..3 {
            let at: Vec<usize> = (0..x.len()).filter(|i| i % 24 / 8 == g).collect();
            let mean =
                |f: &dyn Fn(usize) -> f64| at.iter().map(|&i| f(i)).sum::<f64>() / at.len() as f64;
            let mu = mean(&|i| x[i]);
            let std = (mean(&|i| (x[i] - mu).powi(2)) + EPS).sqrt();
            let d = |i: usize| dy[i] * f64::from(case.gamma[i % 24]);
            let (first, second) = (mean(&d), mean(&|i| d(i) * (x[i] - mu) / std));
            at.iter()
                .for_each(|&i| expected[i] = (d(i) - first - (x[i] - mu) / std * second) / std);
        }
        assert_near(&dx, &expected, tolerance, "dx");
    }
}

#[test]
fn layer_norm_has_the_same_bits_on_any_threads_and_in_any_batch() {
    let (rows, c) = (1000, 77);
    let (x, dy) = (numbers(rows * c, 0.5, 1), numbers(rows * c, 0.0, 2));
    let (gamma, beta) = (numbers(c, 1.0, 3), numbers(c, 0.0, 4));
    let out = on_any_threads(|| layer_norm_of(&x, &gamma, &beta).0);
    let (_, stats) = layer_norm_of(&x, &gamma, &beta);
    let d = on_any_threads(|| layer_norm_gradients(&x, &stats, &dy, &gamma).concat());
    for row in [0, 1, 500, 999] {
        let at = row * c..(row + 1) * c;
        let (alone, of_row) = layer_norm_of(&x[at.clone()], &gamma, &beta);
        assert_same_bits(&out[at.clone()], &alone, "alone");
        assert_same_bits(&stats[2 * row..][..2], &of_row, "statistics alone");
        let [alone, ..] = layer_norm_gradients(&x[at.clone()], &of_row, &dy[at.clone()], &gamma);
        assert_same_bits(&d[at], &alone, "gradient alone");
    }
    let mut expected = vec![0.0; 2 * c];
    for (i, &dy) in dy.iter().enumerate() {
        let [mean, scale] = [stats[i / c * 2], stats[i / c * 2 + 1]].map(f64::from);
        expected[i % c] += f64::from(dy) * (f64::from(x[i]) - mean) * scale;
        expected[c + i % c] += f64::from(dy);
    }
    assert_near(&d[rows * c..], &expected, 2e-6, "dgamma and dbeta");
}

#[test]
#[should_panic(expected = "3 groups of 8 channels")]
fn groups_that_do_not_divide_the_channels_panic() {
    let case = Case::new([1, 1, 8], 3, false, 1);
    case.forward(1, &[0.0; 8]);
}

#[test]
#[should_panic(expected = "rows of 3 in 4")]
fn rows_that_do_not_fit_panic() {
    layer_norm_of(&[0.0; 4], &[1.0; 3], &[0.0; 3]);
}
