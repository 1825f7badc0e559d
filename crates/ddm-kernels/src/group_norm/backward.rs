//! The gradients.

use pulp::{Simd, WithSimd};

use super::GroupNorm;
use crate::buffer::scratch;
use crate::chunks::{for_each, for_each_pair};
use crate::columns::{Terms, sum_rows};
use crate::math;
use crate::simd::{dispatch, load, store, vectors};
use crate::sums::add_parts;

/// Writes the gradients of x, γ and β, with the statistics of [`forward`](super::forward()).
///
/// With `x̂ = (x - μ) / √(v + ε)` and g the gradient of y: `dγ = Σ g x̂`, `dβ = Σ g`, and
/// `dx = (γ g - mean(γ g) - x̂ mean(γ g x̂)) / √(v + ε)` with the means over a group.
///
/// # Panics
///
/// Panics if the lengths do not fit the shape, or the groups the channels.
pub fn backward(
    norm: GroupNorm<'_>,
    x: &[f32],
    stats: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    norm.check(x, stats);
    assert_eq!(dy.len(), x.len(), "numbers of x and of the gradient of its normalization");
    assert_eq!(dx.len(), x.len(), "numbers of x and of its gradient");
    assert_eq!(dgamma.len(), norm.channels(), "numbers of the gradient of gamma and channels");
    assert_eq!(dbeta.len(), norm.channels(), "numbers of the gradient of beta and channels");
    dgamma.fill(0.0);
    dbeta.fill(0.0);
    let ([n, ..], sample, channels) = (norm.shape, norm.sample(), norm.channels());
    if x.is_empty() {
        return;
    }
    // The sums of each sample: first those of β, then those of γ.
    scratch(2 * channels * (n + 1), |memory| {
        let (sums, totals) = memory.split_at_mut(2 * channels * n);
        for_each_pair((dx, sample), (sums, 2 * channels), x.len(), |i, dx, sums| {
            let (at, groups) = (i * sample..(i + 1) * sample, 2 * norm.groups);
            let stats = &stats[i * groups..][..groups];
            Sample { norm, x: &x[at.clone()], stats, dy: &dy[at] }.run(dx, sums);
        });
        add_parts(sums, totals);
        dbeta.copy_from_slice(&totals[..channels]);
        dgamma.copy_from_slice(&totals[channels..]);
    });
}

struct Sample<'a> {
    norm: GroupNorm<'a>,
    x: &'a [f32],
    stats: &'a [f32],
    dy: &'a [f32],
}

impl Sample<'_> {
    /// Writes the gradient of x and the sums over the pixels of g and of g x̂.
    fn run(self, dx: &mut [f32], sums: &mut [f32]) {
        let Self { norm, x, stats, dy } = self;
        let (channels, len, size) = (norm.channels(), norm.chunk(), x.len());
        let (stats, per_group) = (stats.as_chunks::<2>().0, norm.channels_per_group());
        scratch(5 * channels, |memory| {
            let (mean, memory) = memory.split_at_mut(channels);
            let (inverse_std, factors) = memory.split_at_mut(channels);
            for (c, (m, s)) in mean.iter_mut().zip(&mut *inverse_std).enumerate() {
                [*m, *s] = stats[c / per_group];
            }
            let (mean, inverse_std) = (&*mean, &*inverse_std);
            scratch(size.div_ceil(len) * 2 * channels, |parts| {
                for_each_pair((&mut *dx, len), (parts, 2 * channels), size, |i, dx, sums| {
                    let at = i * len..i * len + dx.len();
                    let (x, dy) = (&x[at.clone()], &dy[at]);
                    dispatch(Slopes { norm, x, dy, mean, inverse_std, g: dx, sums });
                });
                add_parts(parts, sums);
            });
            let (by_g, factors) = factors.split_at_mut(channels);
            let (by_x, constant) = factors.split_at_mut(channels);
            let count = (norm.shape[1] * per_group) as f64;
            for (g, &[_, s]) in stats.iter().enumerate() {
                let group = g * per_group..(g + 1) * per_group;
                let mean_of = |sums: &[f32]| {
                    let terms = norm.gamma[group.clone()].iter().zip(&sums[group.clone()]);
                    terms.map(|(&gamma, &sum)| f64::from(gamma) * f64::from(sum)).sum::<f64>()
                        / count
                };
                let (of_g, of_gx) = (mean_of(&sums[..channels]), mean_of(&sums[channels..]));
                let s = f64::from(s);
                by_x[group.clone()].fill((-s * s * of_gx) as f32);
                constant[group.clone()].fill((-s * of_g) as f32);
                for c in group {
                    by_g[c] = (s * f64::from(norm.gamma[c])) as f32;
                }
            }
            let (by_g, by_x, constant) = (&*by_g, &*by_x, &*constant);
            for_each(dx, len, size, |i, dx| {
                let at = i * len..i * len + dx.len();
                // With SiLU, g is where dx will be.
                let dy = (!norm.silu).then_some(&dy[at.clone()]);
                dispatch(Combine { x: &x[at], dy, mean, by_g, by_x, constant, dx });
            });
        });
    }
}

/// Sums g and g x̂ over the pixels of a chunk; with SiLU, g is kept.
struct Slopes<'a> {
    norm: GroupNorm<'a>,
    x: &'a [f32],
    dy: &'a [f32],
    mean: &'a [f32],
    inverse_std: &'a [f32],
    g: &'a mut [f32],
    sums: &'a mut [f32],
}

impl WithSimd for Slopes<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (channels, sums) = (self.mean.len(), std::mem::take(&mut self.sums));
        let (of_g, of_gx) = sums.split_at_mut(channels);
        let rows = self.x.len() / channels;
        if self.norm.silu {
            sum_rows(simd, (rows, 1), &mut WithSilu(self), [of_g, of_gx]);
        } else {
            sum_rows(simd, (rows, 1), &mut self, [of_g, of_gx]);
        }
    }
}

impl Slopes<'_> {
    /// Returns x̂.
    #[inline(always)]
    fn normalized<S: Simd>(&self, simd: S, at: usize, col: usize, len: usize) -> S::f32s {
        let x = simd.sub_f32s(load(simd, self.x, at, len), load(simd, self.mean, col, len));
        simd.mul_f32s(x, load(simd, self.inverse_std, col, len))
    }
}

impl Terms<2> for Slopes<'_> {
    #[inline(always)]
    fn at<S: Simd>(&mut self, simd: S, row: usize, col: usize, len: usize) -> [S::f32s; 2] {
        let at = row * self.mean.len() + col;
        let g = load(simd, self.dy, at, len);
        [g, simd.mul_f32s(g, self.normalized(simd, at, col, len))]
    }
}

struct WithSilu<'a>(Slopes<'a>);

impl Terms<2> for WithSilu<'_> {
    #[inline(always)]
    fn at<S: Simd>(&mut self, simd: S, row: usize, col: usize, len: usize) -> [S::f32s; 2] {
        let slopes = &mut self.0;
        let at = row * slopes.mean.len() + col;
        let x = slopes.normalized(simd, at, col, len);
        let gamma = load(simd, slopes.norm.gamma, col, len);
        let y = simd.mul_add_e_f32s(x, gamma, load(simd, slopes.norm.beta, col, len));
        let g = simd.mul_f32s(load(simd, slopes.dy, at, len), math::silu_derivative(simd, y));
        store(simd, slopes.g, at, len, g);
        [g, simd.mul_f32s(g, x)]
    }
}

/// `dx = g by_g + (x - mean) by_x + constant`, where g is `dy`, or what is in the place of dx.
struct Combine<'a> {
    x: &'a [f32],
    dy: Option<&'a [f32]>,
    mean: &'a [f32],
    by_g: &'a [f32],
    by_x: &'a [f32],
    constant: &'a [f32],
    dx: &'a mut [f32],
}

impl WithSimd for Combine<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, dy, mean, by_g, by_x, constant, dx } = self;
        let channels = mean.len();
        for start in (0..x.len()).step_by(channels) {
            for (col, len) in vectors(simd, channels) {
                let at = start + col;
                let x = simd.sub_f32s(load(simd, x, at, len), load(simd, mean, col, len));
                let (by_x, plus) = (load(simd, by_x, col, len), load(simd, constant, col, len));
                let (g, by_g) = (load(simd, dy.unwrap_or(dx), at, len), load(simd, by_g, col, len));
                let sum = simd.mul_add_e_f32s(x, by_x, plus);
                store(simd, dx, at, len, simd.mul_add_e_f32s(g, by_g, sum));
            }
        }
    }
}
