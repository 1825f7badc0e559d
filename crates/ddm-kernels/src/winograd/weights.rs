//! Transformed weights.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::tiles::{Tile, both_axes};
use crate::buffer::Buffer;
use crate::conv::{Conv2d, Taps};
use crate::gemm::Packed;
use crate::simd::{dispatch, lanes, load, store};

/// The widest panel: two vectors of AVX-512.
const WIDEST: usize = 32;

/// The weights of a 3×3 convolution at the points of Winograd's method: for each point a packed
/// matrix `[c_in, c_out]`, the panels of all points together.
#[derive(Clone, Debug)]
pub(crate) struct Transformed<T> {
    data: Buffer,
    c_in: usize,
    c_out: usize,
    tile: PhantomData<T>,
}

impl<T: Tile> Transformed<T> {
    pub(crate) fn new(conv: &Conv2d, taps: Taps<'_>) -> Self {
        let (c_in, c_out) = (conv.c_in, conv.c_out);
        let width = 2 * lanes();
        let mut data = Buffer::zeroed(c_out.next_multiple_of(width) * c_in * T::POINTS);
        data.par_chunks_mut(T::POINTS * c_in * width).enumerate().for_each(|(i, panel)| {
            let outputs = i * width..c_out.min((i + 1) * width);
            dispatch(Panel::<T> { taps, outputs, c_in, panel, tile: PhantomData });
        });
        Self { data, c_in, c_out, tile: PhantomData }
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
            let panel = output / width * T::POINTS * self.c_in * width;
            let value = |row: usize, col: usize| {
                let point = row * T::REACH + col;
                self.data[panel + (point * self.c_in + input) * width + output % width]
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

    /// Returns the matrix of a point, from the output channel `first` on.
    pub(super) fn at(&self, point: usize, first: usize) -> Packed<'_> {
        let width = 2 * lanes();
        let panel_stride = T::POINTS * self.c_in * width;
        let start = first / width * panel_stride + point * self.c_in * width;
        let data = &self.data[start..];
        Packed { data, rows: self.c_in, cols: self.c_out - first, panel_stride }
    }
}

/// The transformation of one panel.
struct Panel<'a, T> {
    taps: Taps<'a>,
    outputs: std::ops::Range<usize>,
    c_in: usize,
    panel: &'a mut [f32],
    tile: PhantomData<T>,
}

impl<T: Tile> WithSimd for Panel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (lanes, width) = (S::F32_LANES, 2 * S::F32_LANES);
        let mut taps = [[0.0; WIDEST]; 9];
        for input in 0..self.c_in {
            for (i, output) in self.outputs.clone().enumerate() {
                for (row, tap) in taps.iter_mut().zip(self.taps.of(output, input)) {
                    row[i] = tap;
                }
            }
            for half in [0, lanes] {
                let tap = |i: usize| load(simd, &taps[i], half, lanes);
                both_axes(
                    #[inline(always)]
                    |j| T::kernel(simd, [tap(j), tap(3 + j), tap(6 + j)]),
                    3,
                    T::REACH,
                    #[inline(always)]
                    |i, row| {
                        for (j, value) in
                            T::kernel(simd, row).into_iter().enumerate().take(T::REACH)
                        {
                            let point = i * T::REACH + j;
                            let at = (point * self.c_in + input) * width + half;
                            store(simd, self.panel, at, lanes, value);
                        }
                    },
                    simd.splat_f32s(0.0),
                );
            }
        }
    }
}
