//! Convolutions to few channels: each output is a dot product over the channels of its taps.
//!
//! A packed product computes a whole panel of output channels, however many there are.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{Conv2d, Taps};
use crate::gemm::{Out, Plus};
use crate::simd::{dispatch, for_vectors, load};

/// The most output channels.
const MOST: usize = 4;
/// The least rows of a task.
const ROWS: usize = 4;

/// The weights `[c_out, taps, c_in]`.
#[derive(Clone, Debug)]
pub(super) struct Dots {
    data: Vec<f32>,
    channels: [usize; 2],
}

impl Dots {
    /// Whether this is a 3×3 convolution to few channels from many.
    pub(super) fn suits(conv: &Conv2d) -> bool {
        conv.kernel == [3, 3] && conv.options.groups == 1 && conv.c_out <= MOST && conv.c_in >= 16
    }

    pub(super) fn pack(conv: &Conv2d, taps: Taps<'_>) -> Self {
        let mut data = vec![0.0; conv.weights_len()];
        for (output, weights) in data.chunks_exact_mut(9 * conv.c_in).enumerate() {
            for input in 0..conv.c_in {
                let row = weights[input..].iter_mut().step_by(conv.c_in);
                row.zip(taps.of(output, input)).for_each(|(weight, tap)| *weight = tap);
            }
        }
        Self { data, channels: [conv.c_in, conv.c_out] }
    }

    /// Returns the weights `[c_out, c_in, 3, 3]`.
    pub(super) fn unpack(&self) -> Vec<f32> {
        let c_in = self.channels[0];
        let at = |i: usize| self.data[(i / (9 * c_in) * 9 + i % 9) * c_in + i / 9 % c_in];
        (0..self.data.len()).map(at).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val::<[f32]>(&self.data)
    }

    pub(super) fn channels(&self) -> [usize; 2] {
        self.channels
    }

    pub(super) fn forward(&self, conv: &Conv2d, x: &[f32], plus: Plus<'_>, out: &mut [f32]) {
        let out = Out::new(out, conv.c_out);
        (0..conv.n * conv.out_h).into_par_iter().with_min_len(ROWS).for_each(|row| {
            dispatch(Op { conv, x, weights: &self.data, plus, out, row });
        });
    }
}

struct Op<'a> {
    conv: &'a Conv2d,
    x: &'a [f32],
    weights: &'a [f32],
    plus: Plus<'a>,
    out: Out<'a>,
    /// The row of pixels, counted over all images.
    row: usize,
}

impl WithSimd for Op<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.conv.c_out {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            3 => self.run::<S, 3>(simd),
            _ => self.run::<S, MOST>(simd),
        }
    }
}

impl Op<'_> {
    /// Makes the pixels of a row, of K channels.
    #[inline(always)]
    fn run<S: Simd, const K: usize>(self, simd: S) {
        let Self { conv, x, weights, plus, out, row } = self;
        let (c_in, image) = (conv.c_in, row / conv.out_h * conv.h);
        let rows =
            [0, 1, 2].map(|i| conv.source(0, row % conv.out_h, i).map(|y| (image + y) * conv.w));
        for col in 0..conv.out_w {
            let cols = [0, 1, 2].map(|j| conv.source(1, col, j));
            let mut sums = [simd.splat_f32s(0.0); K];
            for tap in 0..9 {
                let (Some(y), Some(x_at)) = (rows[tap / 3], cols[tap % 3]) else { continue };
                let source = (y + x_at) * c_in;
                for_vectors(
                    simd,
                    c_in,
                    #[inline(always)]
                    |at, len| {
                        let x = load(simd, x, source + at, len);
                        for (output, sum) in sums.iter_mut().enumerate() {
                            let weight = (output * 9 + tap) * c_in + at;
                            let weight = load(simd, weights, weight, len);
                            *sum = simd.mul_add_e_f32s(x, weight, *sum);
                        }
                    },
                );
            }
            let pixel = row * conv.out_w + col;
            // SAFETY: the pixels of a task are its own.
            let out = unsafe { out.row(pixel, 0, K) };
            for (output, (out, sum)) in out.iter_mut().zip(&sums).enumerate() {
                *out = simd.reduce_sum_f32s(*sum) + plus.of(pixel, output, K);
            }
        }
    }
}
