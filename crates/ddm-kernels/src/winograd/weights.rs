//! Transformed weights.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::tiles::{Tile, both_axes, six};
use crate::buffer::{Buffer, scratch};
use crate::conv::{Conv2d, Taps, Transform};
use crate::gemm::Packed;
use crate::simd::{dispatch, lanes, load, store};

/// The input channels whose weights are transformed at a time: with all points of a panel they stay in
/// a core's own cache.
const DEPTH: usize = 64;
/// What is left free between two points there, so that they do not fall on the same lines of the
/// cache.
const GAP: usize = 16;

/// The weights of a 3×3 convolution for Winograd's method: for each point a packed matrix
/// `[c_in, c_out]`, or the taps of which it is made.
#[derive(Clone, Debug)]
pub(crate) struct Transformed<T> {
    /// Panels of output channels. A panel is `[points, c_in, width]`, or `[c_in, 9, width]`.
    data: Buffer,
    when: Transform,
    c_in: usize,
    c_out: usize,
    tile: PhantomData<T>,
}

/// The matrix of a point for some of the channels.
pub(super) struct Part<'a> {
    pub(super) point: usize,
    pub(super) inputs: Range<usize>,
    pub(super) outputs: Range<usize>,
    pub(super) matrix: Packed<'a>,
}

impl<T: Tile> Transformed<T> {
    pub(crate) fn new(conv: &Conv2d, taps: Taps<'_>, when: Transform) -> Self {
        let (c_in, c_out) = (conv.c_in, conv.c_out);
        let width = 2 * lanes();
        let values = values::<T>(when);
        let mut data = Buffer::zeroed(c_out.next_multiple_of(width) * c_in * values);
        data.par_chunks_mut(values * c_in * width).enumerate().for_each(|(i, panel)| {
            let outputs = i * width..c_out.min((i + 1) * width);
            match when {
                Transform::InCall => pack(taps, outputs, c_in, panel),
                Transform::Once => scratch(9 * c_in * width, |kernels| {
                    pack(taps, outputs, c_in, kernels);
                    let stride = c_in * width;
                    dispatch(ToPoints::<T> { kernels, points: panel, stride, tile: PhantomData });
                }),
            }
        });
        Self { data, when, c_in, c_out, tile: PhantomData }
    }

    /// Returns the bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val::<[f32]>(&self.data)
    }

    pub(crate) fn channels(&self) -> [usize; 2] {
        [self.c_in, self.c_out]
    }

    /// Returns the weights `[c_out, c_in, 3, 3]`, up to rounding.
    pub(crate) fn unpack(&self) -> Vec<f32> {
        let width = 2 * lanes();
        let mut weights = vec![0.0; self.c_out * self.c_in * 9];
        // The kernel's first and last tap along an axis are values at the points 0 and ∞.
        let taps = |at: [f32; 4]| [at[0] / T::G[0], (at[1] - at[2]) / T::G[1], at[3]];
        let points = [0, 1, 2, T::REACH - 1];
        for (i, kernel) in weights.chunks_exact_mut(9).enumerate() {
            let (output, input) = (i / self.c_in, i % self.c_in);
            let panel = self.panel(output / width);
            if self.when == Transform::InCall {
                let values = &panel[input * 9 * width + output % width..];
                kernel.iter_mut().zip(values.iter().step_by(width)).for_each(|(k, v)| *k = *v);
                continue;
            }
            let value = |row: usize, col: usize| {
                let point = row * T::REACH + col;
                panel[(point * self.c_in + input) * width + output % width]
            };
            let rows = points.map(|row| taps(points.map(|col| value(row, col))));
            for col in 0..3 {
                for (row, tap) in taps(rows.map(|row| row[col])).into_iter().enumerate() {
                    kernel[row * 3 + col] = tap;
                }
            }
        }
        weights
    }

    /// Calls `each` with the parts of all points for some output channels, the first of which is the
    /// first of a panel; those of the same channels in the order of the inputs.
    pub(super) fn parts(&self, outputs: Range<usize>, mut each: impl FnMut(Part<'_>)) {
        let (width, c_in) = (2 * lanes(), self.c_in);
        if self.when == Transform::Once {
            let panel_stride = T::POINTS * c_in * width;
            for point in 0..T::POINTS {
                let start = outputs.start / width * panel_stride + point * c_in * width;
                let (data, cols) = (&self.data[start..], self.c_out - outputs.start);
                let matrix = Packed { data, rows: c_in, cols, panel_stride };
                each(Part { point, inputs: 0..c_in, outputs: outputs.clone(), matrix });
            }
            return;
        }
        let stride = DEPTH.min(c_in) * width + GAP;
        scratch(T::POINTS * stride, |points| {
            for first in outputs.clone().step_by(width) {
                let outputs = first..outputs.end.min(first + width);
                for start in (0..c_in).step_by(DEPTH) {
                    let inputs = start..c_in.min(start + DEPTH);
                    let kernels = &self.panel(first / width)[start * 9 * width..];
                    let kernels = &kernels[..inputs.len() * 9 * width];
                    dispatch(ToPoints::<T> { kernels, points, stride, tile: PhantomData });
                    for (point, matrix) in points.chunks_exact(stride).enumerate() {
                        let matrix = Packed::new(matrix, inputs.len(), width);
                        let (inputs, outputs) = (inputs.clone(), outputs.clone());
                        each(Part { point, inputs, outputs, matrix });
                    }
                }
            }
        });
    }

    fn panel(&self, panel: usize) -> &[f32] {
        let len = values::<T>(self.when) * self.c_in * 2 * lanes();
        &self.data[panel * len..][..len]
    }
}

/// Returns the numbers in memory for a kernel from one channel to another.
pub(crate) const fn values<T: Tile>(when: Transform) -> usize {
    match when {
        Transform::Once => T::POINTS,
        Transform::InCall => 9,
    }
}

/// Packs the kernels of a panel, `[c_in, 9, width]`.
fn pack(taps: Taps<'_>, outputs: Range<usize>, c_in: usize, panel: &mut [f32]) {
    let width = panel.len() / (9 * c_in);
    for (input, panel) in panel.chunks_exact_mut(9 * width).enumerate() {
        for (i, output) in outputs.clone().enumerate() {
            for (row, tap) in panel.chunks_exact_mut(width).zip(taps.of(output, input)) {
                row[i] = tap;
            }
        }
        for row in panel.chunks_exact_mut(width) {
            row[outputs.len()..].fill(0.0);
        }
    }
}

/// The transformation of the kernels of a panel, `[inputs, 9, width]`, to all points.
struct ToPoints<'a, T> {
    kernels: &'a [f32],
    points: &'a mut [f32],
    /// The distance of two points.
    stride: usize,
    tile: PhantomData<T>,
}

impl<T: Tile> WithSimd for ToPoints<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (lanes, width) = (S::F32_LANES, 2 * S::F32_LANES);
        for (input, kernels) in self.kernels.chunks_exact(9 * width).enumerate() {
            for half in [0, lanes] {
                let tap = |i: usize| load(simd, kernels, i * width + half, lanes);
                both_axes(
                    3,
                    #[inline(always)]
                    |j| T::kernel(simd, [tap(j), tap(3 + j), tap(6 + j)]),
                    T::REACH,
                    #[inline(always)]
                    |i, [row0, row1, row2, ..]| {
                        let row = T::kernel(simd, [row0, row1, row2]);
                        let start = i * T::REACH * self.stride + input * width + half;
                        six(
                            #[inline(always)]
                            |j| {
                                if j < T::REACH {
                                    let at = start + j * self.stride;
                                    store(simd, self.points, at, lanes, row[j]);
                                }
                            },
                        );
                    },
                    simd.splat_f32s(0.0),
                );
            }
        }
    }
}
