//! The normalized images.

use pulp::{Simd, WithSimd};

use super::GroupNorm;
use super::moments::{Moments, measure};
use crate::buffer::scratch;
use crate::chunks::{for_each, for_each_pair};
use crate::math;
use crate::simd::{dispatch, load, store, vectors};

/// Writes the normalized `x`, and the mean and 1 / √(v + ε) of each group of each sample to `stats`,
/// `[n, groups, 2]`, for [`backward`](super::backward()).
///
/// # Panics
///
/// Panics if the lengths do not fit the shape, or the groups the channels.
pub fn forward(norm: GroupNorm<'_>, x: &[f32], out: &mut [f32], stats: &mut [f32]) {
    norm.check(x, stats);
    assert_eq!(out.len(), x.len(), "numbers of x and of the normalized x");
    let sample = norm.sample();
    if sample == 0 {
        // No pixels, or no samples: a mean and a variance of 0.
        let empty = [0.0, norm.eps.sqrt().recip() as f32];
        stats.as_chunks_mut().0.fill(empty);
        return;
    }
    for_each_pair((out, sample), (stats, 2 * norm.groups), x.len(), |i, out, stats| {
        of_sample(&norm, &x[i * sample..][..sample], out, stats);
    });
}

fn of_sample(norm: &GroupNorm<'_>, x: &[f32], out: &mut [f32], stats: &mut [f32]) {
    let (len, channels) = (norm.chunk(), norm.channels());
    let mut parts = vec![Moments::default(); x.len().div_ceil(len) * norm.groups];
    for_each(&mut parts, norm.groups, x.len(), |i, groups| {
        measure(&x[i * len..x.len().min((i + 1) * len)], channels, groups);
    });
    let (groups, others) = parts.split_at_mut(norm.groups);
    for part in others.chunks_exact(norm.groups) {
        groups.iter_mut().zip(part).for_each(|(group, &part)| *group = group.with(part));
    }
    scratch(3 * channels, |memory| {
        let (shift, scale) = memory.split_at_mut(channels);
        let (scale, offset) = scale.split_at_mut(channels);
        let stats = stats.as_chunks_mut::<2>().0;
        for (g, (group, stats)) in groups.iter().zip(stats).enumerate() {
            let (mean, inverse_std) = (group.mean(), group.inverse_std(norm.eps));
            *stats = [mean as f32, inverse_std as f32];
            let first = g * norm.channels_per_group();
            for c in first..first + norm.channels_per_group() {
                let factor = inverse_std * f64::from(norm.gamma[c]);
                // x - mean is taken first, since x factor - mean factor would cancel; what the
                // `f32` of the mean lacks goes into the offset.
                shift[c] = mean as f32;
                scale[c] = factor as f32;
                let rest = mean - f64::from(mean as f32);
                offset[c] = (f64::from(norm.beta[c]) - rest * factor) as f32;
            }
        }
        let (shift, scale, offset) = (&*shift, &*scale, &*offset);
        for_each(out, len, x.len(), |i, out| {
            let x = &x[i * len..][..out.len()];
            dispatch(Normalize { x, shift, scale, offset, silu: norm.silu, out });
        });
    });
}

/// `out = (x - shift) scale + offset`, with a number of each for each channel.
struct Normalize<'a> {
    x: &'a [f32],
    shift: &'a [f32],
    scale: &'a [f32],
    offset: &'a [f32],
    silu: bool,
    out: &'a mut [f32],
}

impl WithSimd for Normalize<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.silu { self.run::<S, true>(simd) } else { self.run::<S, false>(simd) }
    }
}

impl Normalize<'_> {
    #[inline(always)]
    fn run<S: Simd, const SILU: bool>(self, simd: S) {
        let Self { x, shift, scale, offset, out, .. } = self;
        let channels = shift.len();
        for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            for (at, len) in vectors(simd, channels) {
                let y = simd.sub_f32s(load(simd, x, at, len), load(simd, shift, at, len));
                let (scale, offset) = (load(simd, scale, at, len), load(simd, offset, at, len));
                let y = simd.mul_add_e_f32s(y, scale, offset);
                store(simd, out, at, len, if SILU { math::silu(simd, y) } else { y });
            }
        }
    }
}
