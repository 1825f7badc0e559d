//! Twice the size, with each pixel four times.

use pulp::{Simd, WithSimd};

use crate::chunks::{for_each, rows_of};
use crate::simd::{dispatch, load, store, vectors};

/// Writes images `[n, height, width, channels]` as `[n, 2 height, 2 width, channels]`.
///
/// # Panics
///
/// Panics if the lengths do not fit.
pub fn forward(x: &[f32], shape: [usize; 4], out: &mut [f32]) {
    struct Op<'a>(&'a [f32], usize, &'a mut [f32]);
    impl WithSimd for Op<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(x, channels, out) = self;
            for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(2 * channels)) {
                for (at, len) in vectors(simd, channels) {
                    let pixel = load(simd, x, at, len);
                    store(simd, out, at, len, pixel);
                    store(simd, out, channels + at, len, pixel);
                }
            }
        }
    }
    let [_, _, width, channels] = shape;
    check(x.len(), shape, out.len());
    if x.is_empty() {
        return;
    }
    let (row, work) = (width * channels, out.len());
    let rows = rows_of(4 * row);
    for_each(out, rows * 4 * row, work, |i, out| {
        for (x, out) in x[i * rows * row..].chunks_exact(row).zip(out.chunks_exact_mut(4 * row)) {
            let (first, second) = out.split_at_mut(2 * row);
            dispatch(Op(x, channels, first));
            second.copy_from_slice(first);
        }
    });
}

/// Writes the gradient of images `[n, height, width, channels]`: the sums of four pixels of `dy`.
///
/// # Panics
///
/// Panics if the lengths do not fit.
pub fn backward(dy: &[f32], shape: [usize; 4], dx: &mut [f32]) {
    struct Op<'a>(&'a [f32], usize, &'a mut [f32]);
    impl WithSimd for Op<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(dy, channels, dx) = self;
            let (first, second) = dy.split_at(2 * dx.len());
            let pairs = first.chunks_exact(2 * channels).zip(second.chunks_exact(2 * channels));
            for ((first, second), dx) in pairs.zip(dx.chunks_exact_mut(channels)) {
                for (at, len) in vectors(simd, channels) {
                    let (left, right) = (at, channels + at);
                    let (a, b) = (load(simd, first, left, len), load(simd, first, right, len));
                    let (c, d) = (load(simd, second, left, len), load(simd, second, right, len));
                    let sum = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
                    store(simd, dx, at, len, sum);
                }
            }
        }
    }
    let [_, _, width, channels] = shape;
    check(dx.len(), shape, dy.len());
    if dx.is_empty() {
        return;
    }
    let row = width * channels;
    let rows = rows_of(4 * row);
    for_each(dx, rows * row, dy.len(), |i, dx| {
        let dy = dy[i * rows * 4 * row..].chunks_exact(4 * row);
        dy.zip(dx.chunks_exact_mut(row)).for_each(|(dy, dx)| dispatch(Op(dy, channels, dx)));
    });
}

fn check(small: usize, shape: [usize; 4], large: usize) {
    assert_eq!(small, shape.iter().product::<usize>(), "numbers of images of shape {shape:?}");
    assert_eq!(large, 4 * small, "numbers of images of twice the size of {shape:?}");
}
