//! Layer normalization of rows.
//!
//! Of each row, with its mean μ and variance v, `y = γ (x - μ) / √(v + ε) + β`.
//!
//! Source: Ba, Kiros & Hinton, *Layer Normalization* (2016), arXiv 1607.06450.

use pulp::{Simd, WithSimd};

use crate::buffer::scratch;
use crate::chunks::{for_each_pair, rows_of};
use crate::simd::{dispatch, load, store, vectors};
use crate::sums::add_parts;

/// Writes the normalized rows of `x`, whose length is that of `gamma`, and the mean and
/// 1 / √(v + ε) of each to `stats`, `[rows, 2]`, for [`backward`].
///
/// # Panics
///
/// Panics if `gamma` is empty or the lengths do not fit.
///
/// # Example
///
/// ```
/// let (mut out, mut stats) = ([0.0; 2], [0.0; 2]);
/// ddm_kernels::layer_norm::forward(&[1.0, 3.0], &[1.0, 2.0], &[0.0; 2], 0.0, &mut out, &mut stats);
/// assert_eq!((out, stats), ([-1.0, 2.0], [2.0, 1.0]));
/// ```
pub fn forward(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f64,
    out: &mut [f32],
    stats: &mut [f32],
) {
    let len = check(x, gamma, stats);
    assert_eq!(beta.len(), gamma.len(), "numbers of beta and gamma");
    assert_eq!(out.len(), x.len(), "numbers of x and of the normalized x");
    let rows = rows_of(len);
    for_each_pair((out, rows * len), (stats, rows * 2), x.len(), |i, out, stats| {
        let x = &x[i * rows * len..][..out.len()];
        dispatch(Forward { x, gamma, beta, eps, out, stats });
    });
}

/// Writes the gradients of x, γ and β, with the statistics of [`forward`].
///
/// With `x̂ = (x - μ) / √(v + ε)`: `dγ = Σ dy x̂`, `dβ = Σ dy`, and
/// `dx = (γ dy - mean(γ dy) - x̂ mean(γ dy x̂)) / √(v + ε)` with the means over a row.
///
/// # Panics
///
/// Panics if `gamma` is empty or the lengths do not fit.
pub fn backward(
    x: &[f32],
    stats: &[f32],
    dy: &[f32],
    gamma: &[f32],
    dx: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let len = check(x, gamma, stats);
    assert_eq!(dy.len(), x.len(), "numbers of x and of the gradient of its normalization");
    assert_eq!(dx.len(), x.len(), "numbers of x and of its gradient");
    assert_eq!(dgamma.len(), len, "numbers of gamma and of its gradient");
    assert_eq!(dbeta.len(), len, "numbers of beta and of its gradient");
    let rows = rows_of(len).min(512);
    let chunks = x.len().div_ceil(rows * len);
    // The sums of each chunk: first those of β, then those of γ.
    scratch(2 * len * (chunks + 1), |memory| {
        let (sums, totals) = memory.split_at_mut(2 * len * chunks);
        for_each_pair((dx, rows * len), (sums, 2 * len), x.len(), |i, dx, sums| {
            let at = i * rows * len..i * rows * len + dx.len();
            let stats = &stats[i * rows * 2..][..2 * dx.len() / len];
            dispatch(Backward { x: &x[at.clone()], stats, dy: &dy[at], gamma, dx, sums });
        });
        add_parts(sums, totals);
        dbeta.copy_from_slice(&totals[..len]);
        dgamma.copy_from_slice(&totals[len..]);
    });
}

/// Returns the length of a row.
fn check(x: &[f32], gamma: &[f32], stats: &[f32]) -> usize {
    let len = gamma.len();
    assert!(len > 0, "rows of no numbers");
    assert!(x.len().is_multiple_of(len), "rows of {len} in {}", x.len());
    assert_eq!(stats.len(), x.len() / len * 2, "numbers of the statistics of rows of {len}");
    len
}

struct Forward<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f64,
    out: &'a mut [f32],
    stats: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, gamma, beta, eps, out, stats } = self;
        let (size, count) = (gamma.len(), gamma.len() as f64);
        let rows = x.chunks_exact(size).zip(out.chunks_exact_mut(size));
        for ((x, out), stats) in rows.zip(stats.as_chunks_mut::<2>().0) {
            // The mean as far as `f32` goes, and the distances from it: squares of x would cancel.
            let [sum] = sum_row(
                simd,
                size,
                #[inline(always)]
                |at, len| [load(simd, x, at, len)],
            );
            let near = sum / size as f32;
            let shift = simd.splat_f32s(near);
            let [sum, squares] = sum_row(
                simd,
                size,
                #[inline(always)]
                |at, len| {
                    let distance = simd.sub_f32s(load(simd, x, at, len), shift);
                    [distance, simd.mul_f32s(distance, distance)]
                },
            );
            let rest = f64::from(sum) / count;
            // Rounding can make the difference of two equal squares negative.
            let variance = (f64::from(squares) / count - rest * rest).max(0.0);
            let inverse_std = (variance + eps).sqrt().recip();
            *stats = [(f64::from(near) + rest) as f32, inverse_std as f32];
            let scale = simd.splat_f32s(inverse_std as f32);
            let offset = simd.splat_f32s((-rest * inverse_std) as f32);
            for (at, len) in vectors(simd, size) {
                let distance = simd.sub_f32s(load(simd, x, at, len), shift);
                let normalized = simd.mul_add_e_f32s(distance, scale, offset);
                let (gamma, beta) = (load(simd, gamma, at, len), load(simd, beta, at, len));
                store(simd, out, at, len, simd.mul_add_e_f32s(normalized, gamma, beta));
            }
        }
    }
}

struct Backward<'a> {
    x: &'a [f32],
    stats: &'a [f32],
    dy: &'a [f32],
    gamma: &'a [f32],
    dx: &'a mut [f32],
    sums: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, stats, dy, gamma, dx, sums } = self;
        let size = gamma.len();
        sums.fill(0.0);
        let (of_g, of_gx) = sums.split_at_mut(size);
        let rows = x.chunks_exact(size).zip(dy.chunks_exact(size)).zip(dx.chunks_exact_mut(size));
        for (((x, dy), dx), &[mean, inverse_std]) in rows.zip(stats.as_chunks::<2>().0) {
            let (mean, scale) = (simd.splat_f32s(mean), simd.splat_f32s(inverse_std));
            let [sum_of_g, sum_of_gx] = sum_row(
                simd,
                size,
                #[inline(always)]
                |at, len| {
                    let g = simd.mul_f32s(load(simd, dy, at, len), load(simd, gamma, at, len));
                    let x = simd.mul_f32s(simd.sub_f32s(load(simd, x, at, len), mean), scale);
                    [g, simd.mul_f32s(g, x)]
                },
            );
            let mean_of_g = simd.splat_f32s(sum_of_g / size as f32);
            let by_x = simd.splat_f32s(-sum_of_gx / size as f32);
            for (at, len) in vectors(simd, size) {
                let dy = load(simd, dy, at, len);
                let x = simd.mul_f32s(simd.sub_f32s(load(simd, x, at, len), mean), scale);
                let g = simd.mul_f32s(dy, load(simd, gamma, at, len));
                let d = simd.mul_add_e_f32s(x, by_x, simd.sub_f32s(g, mean_of_g));
                let d = simd.mul_f32s(d, scale);
                store(simd, dx, at, len, d);
                let total = simd.add_f32s(load(simd, of_g, at, len), dy);
                store(simd, of_g, at, len, total);
                let total = simd.mul_add_e_f32s(dy, x, load(simd, of_gx, at, len));
                store(simd, of_gx, at, len, total);
            }
        }
    }
}

/// Returns the sums of T numbers for each of the `size` elements of a row, a vector at a time.
#[inline(always)]
fn sum_row<S: Simd, const T: usize>(
    simd: S,
    size: usize,
    mut terms: impl FnMut(usize, usize) -> [S::f32s; T],
) -> [f32; T] {
    let (zero, lanes) = (simd.splat_f32s(0.0), S::F32_LANES);
    // Four sums side by side, so that additions need not wait for each other.
    let mut totals = [[zero; T]; 4];
    let mut at = 0;
    while at + 4 * lanes <= size {
        for totals in &mut totals {
            let terms = terms(at, lanes);
            totals.iter_mut().zip(terms).for_each(|(sum, term)| *sum = simd.add_f32s(*sum, term));
            at += lanes;
        }
    }
    for totals in &mut totals {
        if at < size {
            let len = lanes.min(size - at);
            let used = simd.mask_between_m32s(0, len as u32).mask();
            for (sum, term) in totals.iter_mut().zip(terms(at, len)) {
                *sum = simd.add_f32s(*sum, simd.select_f32s(used, term, zero));
            }
            at += lanes;
        }
    }
    std::array::from_fn(|t| {
        let left = simd.add_f32s(totals[0][t], totals[1][t]);
        let right = simd.add_f32s(totals[2][t], totals[3][t]);
        simd.reduce_sum_f32s(simd.add_f32s(left, right))
    })
}
