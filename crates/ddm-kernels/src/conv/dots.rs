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
/// The pixels of a task.
const PIXELS: usize = 256;

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
        let pixels = conv.n * conv.out_h * conv.out_w;
        let out = Out::new(out, conv.c_out);
        (0..pixels.div_ceil(PIXELS)).into_par_iter().for_each(|i| {
            let pixels = i * PIXELS..pixels.min((i + 1) * PIXELS);
            dispatch(Op { conv, x, weights: &self.data, plus, out, pixels });
        });
    }
}

struct Op<'a> {
    conv: &'a Conv2d,
    x: &'a [f32],
    weights: &'a [f32],
    plus: Plus<'a>,
    out: Out<'a>,
    pixels: std::ops::Range<usize>,
}

impl WithSimd for Op<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { conv, x, weights, plus, out, pixels } = self;
        let (c_in, c_out) = (conv.c_in, conv.c_out);
        for pixel in pixels {
            let mut sums = [simd.splat_f32s(0.0); MOST];
            for (tap, source) in conv.sources(pixel).enumerate() {
                let Some(source) = source else { continue };
                for_vectors(
                    simd,
                    c_in,
                    #[inline(always)]
                    |at, len| {
                        let x = load(simd, x, source * c_in + at, len);
                        for (output, sum) in sums.iter_mut().enumerate() {
                            if output < c_out {
                                let weight = (output * 9 + tap) * c_in + at;
                                let weight = load(simd, weights, weight, len);
                                *sum = simd.mul_add_e_f32s(x, weight, *sum);
                            }
                        }
                    },
                );
            }
            // SAFETY: the pixels of a task are its own.
            let out = unsafe { out.row(pixel, 0, c_out) };
            for ((output, out), sum) in out.iter_mut().enumerate().zip(sums) {
                *out = simd.reduce_sum_f32s(sum) + plus.of(pixel, output, c_out);
            }
        }
    }
}
