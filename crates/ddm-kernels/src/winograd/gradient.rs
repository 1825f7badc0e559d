//! The gradient with respect to the weights: the adjoint of the forward pass,
//! `Gᵀ [Σ (Bᵀ d B) ∘ (A y Aᵀ)] G` over all tiles d of the input and y of the output's gradient.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::grid::{Grid, OfGradient, OfInput, Planes, Source, transform};
use super::tiles::{F4, Tile, both_axes, six};
use crate::buffer::scratch;
use crate::conv::Conv2d;
use crate::gemm::{Block, Matrix, Out, Packed, Panels, Plus};
use crate::simd::{dispatch, lanes, load, store};

/// The memory of a block of tiles, in numbers.
const BLOCK: usize = 200_000;
/// The most chunks of tiles, and the least tiles of a chunk. They are fixed, so that the sums do not
/// depend on the threads.
const CHUNKS: usize = 8;
const LEAST: usize = 64;
/// The output channels of a task where there are many channels.
const COLUMNS: usize = 64;

/// Whether this method is faster than the direct one: it depends on the image and channels alone.
pub(crate) fn pays_for_weights(conv: &Conv2d) -> bool {
    conv.c_in >= 8 && conv.c_out >= 8 && conv.out_h * conv.out_w >= 16
}

/// Writes the gradient with respect to the weights, `[c_out, c_in, 3, 3]`.
pub(crate) fn backward_weights(conv: &Conv2d, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let grid = Grid::<F4>::new(conv);
    let (tiles, c_in, c_out) = (grid.tiles(), conv.c_in, conv.c_out);
    // A sum is as large as all weights at all points, so there are few, unless they are small.
    let chunks = (tiles / LEAST).clamp(1, CHUNKS);
    let width = if c_in * c_out <= 128 * COLUMNS { c_out } else { COLUMNS };
    let columns = c_out.div_ceil(width);
    let size = F4::POINTS * c_in * c_out;
    scratch(chunks * size, |sums| {
        let shared = Out::new(sums, 1);
        (0..chunks * columns).into_par_iter().for_each(|i| {
            let (chunk, column) = (i / columns, i % columns * width);
            let cols = column..c_out.min(column + width);
            let start = chunk * size + F4::POINTS * c_in * column;
            // SAFETY: the sum is this task's alone.
            let sum = unsafe { shared.row(start, 0, F4::POINTS * c_in * cols.len()) };
            let chunk = chunk * tiles / chunks..(chunk + 1) * tiles / chunks;
            sum_tiles(&grid, x, dy, chunk, cols, sum);
        });
        let dw = Out::new(dw, c_in * 9);
        (0..columns * c_in).into_par_iter().for_each(|i| {
            let (column, input) = (i / c_in * width, i % c_in);
            let cols = column..c_out.min(column + width);
            dispatch(Gather { sums, size, input, c_in, cols, dw });
        });
    });
}

/// Writes the sum over all tiles of a chunk, `[points, c_in, cols]`.
fn sum_tiles(
    grid: &Grid<F4>,
    x: &[f32],
    dy: &[f32],
    chunk: Range<usize>,
    cols: Range<usize>,
    sum: &mut [f32],
) {
    let conv = &grid.conv;
    let (c_in, width) = (conv.c_in, cols.len());
    let most = (BLOCK / (F4::POINTS * (c_in + width))).clamp(16, 256);
    let panel = 2 * lanes();
    let input = Source {
        data: x,
        size: [conv.h, conv.w],
        channels: c_in,
        used: (0, c_in),
        before: conv.options.padding_begin,
    };
    let output = Source {
        data: dy,
        size: [conv.out_h, conv.out_w],
        channels: conv.c_out,
        used: (cols.start, cols.end),
        before: [0, 0],
    };
    if chunk.is_empty() {
        sum.fill(0.0);
    }
    for start in chunk.clone().step_by(most) {
        let tiles = start..chunk.end.min(start + most);
        let count = tiles.len();
        let planes = Planes { point: count * c_in, tile: c_in, panel: (c_in, 0) };
        let packed = Panels::packed_len(count, width);
        let panels = Planes { point: packed, tile: panel, panel: (panel, panel * count) };
        scratch(F4::POINTS * planes.point, |inputs| {
            transform::<F4, OfInput>(grid, input, tiles.clone(), planes, inputs);
            scratch(F4::POINTS * packed, |outputs| {
                transform::<F4, OfGradient>(grid, output, tiles, panels, outputs);
                let points = inputs.chunks_exact(count * c_in).zip(outputs.chunks_exact(packed));
                for ((input, output), sum) in points.zip(sum.chunks_exact_mut(c_in * width)) {
                    let product = Block {
                        a: Matrix::new(input, c_in).transposed(),
                        b: Packed::new(output, count, width),
                        out: Out::new(sum, width),
                        origin: [0, 0],
                        plus: Plus::default(),
                        accumulate: start > chunk.start,
                    };
                    // SAFETY: the sum is this task's alone.
                    unsafe { product.run_packed(0..c_in, 0..width) };
                }
            });
        });
    }
}

/// The transformation of the sums of all chunks to the gradients of one input channel.
struct Gather<'a> {
    sums: &'a [f32],
    /// The numbers of a chunk.
    size: usize,
    input: usize,
    c_in: usize,
    cols: Range<usize>,
    dw: Out<'a>,
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sums, size, input, c_in, cols, dw } = self;
        let (lanes, zero) = (S::F32_LANES, simd.splat_f32s(0.0));
        for col in (0..cols.len()).step_by(lanes) {
            let len = lanes.min(cols.len() - col);
            let sum = |point: usize| {
                let at = F4::POINTS * c_in * cols.start + (point * c_in + input) * cols.len() + col;
                sums.chunks_exact(size)
                    .fold(zero, |total, sum| simd.add_f32s(total, load(simd, sum, at, len)))
            };
            let mut taps = [[0.0; 16]; 9];
            both_axes(
                F4::REACH,
                #[inline(always)]
                |j| {
                    let column = six(
                        #[inline(always)]
                        |i| sum(i * F4::REACH + j),
                    );
                    F4::gather(simd, column)
                },
                3,
                #[inline(always)]
                |i, row| {
                    let row = F4::gather(simd, row);
                    for (taps, value) in taps[i * 3..][..3].iter_mut().zip(row) {
                        store(simd, taps, 0, len, value);
                    }
                },
                zero,
            );
            for lane in 0..len {
                // SAFETY: the input channel is this task's alone.
                let dw = unsafe { dw.row(cols.start + col + lane, input * 9, 9) };
                dw.iter_mut().zip(&taps).for_each(|(dw, taps)| *dw = taps[lane]);
            }
        }
    }
}
