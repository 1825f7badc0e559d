//! Sums over the rows of matrices: the gradients of a bias.

use pulp::{Simd, WithSimd};

use crate::buffer::scratch;
use crate::chunks::{for_each, rows_of};
use crate::columns::{Elements, sum_rows};
use crate::simd::dispatch;

/// Writes the sum of each column of a matrix `[rows, cols]`, where `out` has `cols` numbers.
///
/// # Panics
///
/// Panics if `out` is empty or its length does not divide that of `x`.
pub fn of_columns(x: &[f32], out: &mut [f32]) {
    let cols = out.len();
    of_samples(x, 1, cols, out);
}

/// Writes the sum over the pixels of images `[n, pixels, channels]` as `[n, channels]`.
///
/// Up to 512 rows are summed in `f32`, and these sums in `f64`.
///
/// # Panics
///
/// Panics if `channels` is 0 or the lengths do not fit.
pub fn of_samples(x: &[f32], n: usize, channels: usize, out: &mut [f32]) {
    assert!(channels > 0, "no channels");
    assert_eq!(out.len(), n * channels, "sums of {channels} channels of {n} samples");
    let pixels = if n == 0 { 0 } else { x.len() / (n * channels) };
    assert_eq!(x.len(), n * pixels * channels, "numbers of {n} samples of {channels} channels");
    let sample = pixels * channels;
    for_each(out, channels, x.len(), |i, out| of_sample(&x[i * sample..][..sample], out));
}

fn of_sample(x: &[f32], out: &mut [f32]) {
    let cols = out.len();
    let len = rows_of(cols).min(512) * cols;
    if x.len() <= len {
        return dispatch(Op(x, out));
    }
    scratch(x.len().div_ceil(len) * cols, |parts| {
        for_each(parts, cols, x.len(), |i, sums| {
            dispatch(Op(&x[i * len..x.len().min((i + 1) * len)], sums));
        });
        add_parts(parts, out);
    });
}

/// Writes the sum of each column of sums of parts, in `f64` from the first row to the last.
pub(crate) fn add_parts(parts: &[f32], out: &mut [f32]) {
    let cols = out.len();
    // Some columns at a time, whose totals stay in the nearest cache.
    for (i, out) in out.chunks_mut(64).enumerate() {
        let mut totals = [0.0; 64];
        for row in parts.chunks_exact(cols) {
            let row = &row[i * 64..][..out.len()];
            totals.iter_mut().zip(row).for_each(|(total, &part)| *total += f64::from(part));
        }
        out.iter_mut().zip(totals).for_each(|(out, total)| *out = total as f32);
    }
}

struct Op<'a>(&'a [f32], &'a mut [f32]);

impl WithSimd for Op<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let cols = self.1.len();
        let rows = self.0.len() / cols;
        sum_rows(simd, (rows, 1), &mut Elements(self.0, cols), [self.1]);
    }
}
