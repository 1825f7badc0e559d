//! Random numbers, and what all kernels have in common.

use proptest::prelude::*;

/// Returns `len` numbers, about normal around `mean`, that depend on `seed`.
pub(crate) fn numbers(len: usize, mean: f32, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        // Xorshift64*: Vigna, ACM TOMS 42 (2016).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1 << 24) as f32
    };
    // The sum of three uniform numbers of variance 1/3 each.
    (0..len).map(|_| mean + (0..3).map(|_| 2.0 * uniform() - 1.0).sum::<f32>()).collect()
}

pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Fails where numbers differ by more than `tolerance` of the largest of the expected ones, or of 1.
#[track_caller]
pub(crate) fn assert_near(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f64, |max, x| max.max(x.abs()));
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs() / scale;
        assert!(error <= tolerance, "{what} {i}: {found}, expected {expected}, error {error:e}");
    }
}

/// Fails where sums of `terms` products of [`numbers`] differ by more than `256 u √terms`, with the unit
/// roundoff u.
///
/// Roundings are about independent, so the error of a sum grows as the root of its length: Higham & Mary,
/// *A New Approach to Probabilistic Rounding Error Analysis*, SIAM J. Sci. Comput. 41 (2019). The factor
/// is for numbers of variance 1 and Winograd's transformations; the worst seen had 170.
#[track_caller]
pub(crate) fn assert_rounded(found: &[f32], expected: &[f64], terms: usize, what: &str) {
    let largest = expected.iter().fold(1.0f64, |max, x| max.max(x.abs()));
    let bound = 256.0 * f64::from(f32::EPSILON) / 2.0 * (terms as f64).sqrt();
    assert_near(found, expected, bound / largest, what);
}

#[track_caller]
pub(crate) fn assert_same_bits(a: &[f32], b: &[f32], what: &str) {
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(a), bits(b), "{what}");
}

/// Runs on one thread, on two and on five, and fails unless all results have the same bits.
#[track_caller]
pub(crate) fn on_any_threads(run: impl Fn() -> Vec<f32> + Sync) -> Vec<f32> {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&run)
    };
    let one = on(1);
    for threads in [2, 5] {
        assert_same_bits(&one, &on(threads), &format!("on {threads} threads"));
    }
    one
}

/// Returns the gradient of `sum(weights · f(x))` by central differences, in `f64`.
pub(crate) fn differences(x: &[f64], weights: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let value = |x: &[f64]| f(x).iter().zip(weights).map(|(y, w)| y * w).sum::<f64>();
    (0..x.len())
        .map(|i| {
            let mut moved = x.to_vec();
            moved[i] = x[i] + STEP;
            let after = value(&moved);
            moved[i] = x[i] - STEP;
            (after - value(&moved)) / (2.0 * STEP)
        })
        .collect()
}

/// Numbers of channels around the widths of vectors, and some others.
pub(crate) fn channels() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..=40, Just(64), Just(67), Just(128), Just(130)]
}

pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
