//! SiLU, linear combinations, concatenation, sums.

use ddm_kernels::{concat, linear_combination, silu, sums};
use proptest::prelude::*;

use crate::compare::{
    assert_near, assert_same_bits, cases, channels, differences, numbers, on_any_threads, wide,
};

fn silu_exact(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn silu_of(x: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len()];
    silu::forward(x, &mut out);
    out
}

fn silu_gradient(x: &[f32], dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![f32::NAN; x.len()];
    silu::backward(x, dy, &mut dx);
    dx
}

#[test]
fn silu_is_exact_to_rounding_over_its_range() {
    let x: Vec<f32> = (-200_000..=200_000).map(|i| i as f32 * 1e-3).collect();
    for (&x, y) in x.iter().zip(silu_of(&x)) {
        let exact = silu_exact(f64::from(x));
        // Below -88.7, where σ is under the normal numbers, it is 0.
        let allowed = (4e-7 * exact.abs()).max(3e-37);
        assert!((f64::from(y) - exact).abs() <= allowed, "silu({x}) = {y}, exact {exact}");
    }
}

#[test]
fn the_slope_of_silu_is_exact_to_rounding_over_its_range() {
    let x: Vec<f32> = (-200_000..=200_000).map(|i| i as f32 * 1e-3).collect();
    for (&x, slope) in x.iter().zip(silu_gradient(&x, &vec![1.0; x.len()])) {
        let s = 1.0 / (1.0 + (-f64::from(x)).exp());
        let exact = s * (1.0 + f64::from(x) * (1.0 - s));
        assert!((f64::from(slope) - exact).abs() <= 4e-7, "at {x}: {slope}, exact {exact}");
    }
}

#[test]
fn silu_has_the_right_limits() {
    let inf = f32::INFINITY;
    let x = [-inf, -1e38, -200.0, 0.0, 200.0, 1e38, inf];
    assert_eq!(silu_of(&x), [0.0, 0.0, 0.0, 0.0, 200.0, 1e38, inf]);
    assert_eq!(silu_gradient(&x, &[1.0; 7]), [0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0]);
    assert!(silu_of(&[f32::NAN])[0].is_nan());
    assert!(silu_gradient(&[f32::NAN], &[1.0])[0].is_nan());
}

#[test]
fn large_tensors_have_the_same_bits_on_any_number_of_threads() {
    let (x, y) = (numbers(100_003, 0.0, 1), numbers(100_003, 0.0, 2));
    on_any_threads(|| silu_of(&x));
    on_any_threads(|| silu_gradient(&x, &y));
    let combined = on_any_threads(|| {
        let mut out = vec![f32::NAN; x.len()];
        linear_combination::write(&[(0.3, &x), (-1.7, &y)], &mut out);
        out
    });
    let expected: Vec<f64> = x
        .iter()
        .zip(&y)
        .map(|(&x, &y)| f64::from(0.3f32) * f64::from(x) + f64::from(-1.7f32) * f64::from(y))
        .collect();
    assert_near(&combined, &expected, 2e-7, "combination");
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn silu_does_not_depend_on_the_place_in_the_tensor(len in 0usize..70, seed: u64) {
        let x = numbers(len, 0.0, seed);
        let dy = numbers(len, 0.0, seed ^ 1);
        let alone: Vec<f32> = x.iter().flat_map(|&x| silu_of(&[x])).collect();
        assert_same_bits(&silu_of(&x), &alone, "silu");
        let alone: Vec<f32> = x.iter().zip(&dy).flat_map(|(&x, &d)| silu_gradient(&[x], &[d])).collect();
        assert_same_bits(&silu_gradient(&x, &dy), &alone, "gradient");
        let f = |x: &[f64]| x.iter().map(|&x| silu_exact(x)).collect();
        let expected = differences(&wide(&x), &wide(&dy), f);
        assert_near(&silu_gradient(&x, &dy), &expected, 1e-6, "gradient");
    }

    #[test]
    fn a_linear_combination_is_the_sum(len in 0usize..300, count in 0usize..9, seed: u64) {
        let weights = numbers(count, 0.0, seed);
        let tensors: Vec<_> = (0..count).map(|i| numbers(len, 0.0, seed ^ (i as u64 + 1))).collect();
        let terms: Vec<(f32, &[f32])> =
            weights.iter().copied().zip(tensors.iter().map(Vec::as_slice)).collect();
        let mut out = vec![f32::NAN; len];
        linear_combination::write(&terms, &mut out);
        let mut expected = vec![0.0; len];
        for (w, x) in &terms {
            expected.iter_mut().zip(*x).for_each(|(e, &x)| *e += f64::from(*w) * f64::from(x));
        }
        assert_near(&out, &expected, 1e-6, "sum");
        if let Some(((weight, first), rest)) = terms.split_first() {
            let mut updated = first.to_vec();
            linear_combination::update(*weight, &mut updated, rest);
            assert_same_bits(&updated, &out, "in place");
        }
    }

    #[test]
    fn join_puts_channels_side_by_side_and_split_takes_them_apart(
        pixels in 0usize..50, a in channels(), b in channels(), seed: u64,
    ) {
        let (x, y) = (numbers(pixels * a, 0.0, seed), numbers(pixels * b, 0.0, seed ^ 1));
        let mut joined = vec![f32::NAN; pixels * (a + b)];
        concat::join(&x, &y, [a, b], &mut joined);
        for p in 0..pixels {
            let row = &joined[p * (a + b)..][..a + b];
            assert_eq!(&row[..a], &x[p * a..][..a]);
            assert_eq!(&row[a..], &y[p * b..][..b]);
        }
        let (mut first, mut second) = (vec![f32::NAN; x.len()], vec![f32::NAN; y.len()]);
        concat::split(&joined, [a, b], &mut first, &mut second);
        assert_eq!((first, second), (x, y));
    }

    #[test]
    fn sums_of_samples_and_columns(
        n in 0usize..4, pixels in 0usize..40, c in channels(), seed: u64,
    ) {
        let x = numbers(n * pixels * c, 0.5, seed);
        let mut out = vec![f32::NAN; n * c];
        // Without samples their pixels are not known.
        sums::of_samples(&x, n, c, &mut out);
        let mut expected = vec![0.0; n * c];
        for (i, &x) in x.iter().enumerate() {
            expected[i / (pixels * c) * c + i % c] += f64::from(x);
        }
        assert_near(&out, &expected, 2e-6, "samples");
        let mut columns = vec![f32::NAN; c];
        sums::of_columns(&x, &mut columns);
        let mut expected = vec![0.0; c];
        x.iter().enumerate().for_each(|(i, &x)| expected[i % c] += f64::from(x));
        assert_near(&columns, &expected, 2e-6, "columns");
    }
}

#[test]
fn long_sums_are_exact_and_the_same_on_any_threads_and_in_any_batch() {
    for (pixels, c) in [(40_000, 3), (3000, 48), (70, 1030)] {
        let x = numbers(2 * pixels * c, 10.0, 7);
        let run = |x: &[f32], n: usize| {
            let mut out = vec![f32::NAN; n * c];
            sums::of_samples(x, n, c, &mut out);
            out
        };
        let both = on_any_threads(|| run(&x, 2));
        assert_same_bits(&both[c..], &run(&x[pixels * c..], 1), "alone");
        let mut expected = vec![0.0; 2 * c];
        for (i, &x) in x.iter().enumerate() {
            expected[i / (pixels * c) * c + i % c] += f64::from(x);
        }
        assert_near(&both, &expected, 1e-6, "sums");
    }
}

#[test]
fn large_concatenations_have_the_same_bits_on_any_number_of_threads() {
    let (pixels, a, b) = (5000, 5, 18);
    let (x, y) = (numbers(pixels * a, 0.0, 1), numbers(pixels * b, 0.0, 2));
    let joined = on_any_threads(|| {
        let mut out = vec![f32::NAN; pixels * (a + b)];
        concat::join(&x, &y, [a, b], &mut out);
        out
    });
    let parts = on_any_threads(|| {
        let mut both = vec![f32::NAN; joined.len()];
        let (first, second) = both.split_at_mut(x.len());
        concat::split(&joined, [a, b], first, second);
        both
    });
    assert_same_bits(&parts, &[x.as_slice(), &y].concat(), "the parts again");
}

#[test]
#[should_panic(expected = "numbers of tensor 1")]
fn a_tensor_of_another_length_panics() {
    linear_combination::write(&[(1.0, &[1.0]), (1.0, &[1.0, 2.0])], &mut [0.0]);
}

#[test]
#[should_panic(expected = "pixels of 2 channels in 3")]
fn channels_that_do_not_fit_panic() {
    concat::join(&[0.0; 3], &[0.0; 1], [2, 1], &mut [0.0; 4]);
}
