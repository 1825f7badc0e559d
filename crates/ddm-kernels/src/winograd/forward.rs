//! The forward pass.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::grid::{Grid, Planes, Source, transform};
use super::tiles::{Tile, both_axes};
use super::weights::Transformed;
use crate::buffer::scratch;
use crate::conv::Conv2d;
use crate::gemm::{Block, Matrix, Out, Plus};
use crate::simd::{dispatch, load, store};

/// The memory of a block of tiles, in numbers: what stays in a core's own cache.
const BLOCK: usize = 200_000;
/// The tiles of a block whose weights do not stay in that cache, so are read again for each block.
const MANY: usize = 36;
/// The output channels of a task where there are few tiles.
const COLUMNS: usize = 64;
/// The most tiles of such a task.
const SHARED: usize = 96;
/// What is left free between two points, so that they do not fall on the same lines of the cache.
const GAP: usize = 16;

/// Writes `x * weights + plus`.
pub(crate) fn forward<T: Tile>(
    conv: &Conv2d,
    x: &[f32],
    weights: &Transformed<T>,
    plus: Plus<'_>,
    out: &mut [f32],
) {
    let grid = Grid::<T>::new(conv);
    let tiles = grid.tiles();
    let threads = rayon::current_num_threads();
    let (tile, all) = (conv.c_in + conv.c_out, conv.c_in * conv.c_out);
    let least = if T::POINTS * all > 2 * BLOCK { MANY } else { 12 };
    let most = (BLOCK / (T::POINTS * tile)).clamp(least, 240) / 12 * 12;
    let job = Job { grid, x, weights, plus, out: Out::new(out, conv.c_out) };
    if tiles >= 2 * threads * most {
        // Many tiles: each task makes a block of them from begin to end.
        let blocks = tiles.div_ceil(most).next_multiple_of(threads);
        (0..blocks).into_par_iter().for_each(|i| {
            let block = i * tiles / blocks..(i + 1) * tiles / blocks;
            let planes = job.planes(block.len());
            scratch(T::POINTS * planes.point, |points| {
                // SAFETY: the memory is this task's alone.
                unsafe { job.input(block.clone(), planes, Out::new(points, 1), 0) };
                job.output(block.clone(), block, points, planes, 0..conv.c_out);
            });
        });
        return;
    }
    // Few tiles: the weights are most of the memory, so tasks share the output channels.
    let planes = job.planes(tiles);
    scratch(T::POINTS * planes.point, |points| {
        let parts = tiles.min(4 * threads);
        let shared = Out::new(points, 1);
        (0..parts).into_par_iter().for_each(|i| {
            let part = i * tiles / parts..(i + 1) * tiles / parts;
            // SAFETY: the tiles of a task are its own.
            unsafe { job.input(part.clone(), planes, shared, part.start) };
        });
        let columns = conv.c_out.div_ceil(COLUMNS);
        let blocks = tiles.div_ceil(SHARED);
        (0..columns * blocks).into_par_iter().for_each(|i| {
            let (column, block) = (i / blocks * COLUMNS, i % blocks);
            let block = block * tiles / blocks..(block + 1) * tiles / blocks;
            let cols = column..conv.c_out.min(column + COLUMNS);
            job.output(0..tiles, block, points, planes, cols);
        });
    });
}

struct Job<'a, T> {
    grid: Grid<T>,
    x: &'a [f32],
    weights: &'a Transformed<T>,
    plus: Plus<'a>,
    out: Out<'a>,
}

impl<T: Tile> Job<'_, T> {
    /// Returns how so many tiles lie in memory.
    fn planes(&self, tiles: usize) -> Planes {
        let channels = self.grid.conv.c_in;
        Planes { point: tiles * channels + GAP, tile: channels, panel: (channels, 0) }
    }

    /// Transforms tiles of the input.
    ///
    /// # Safety
    ///
    /// As for [`transform`].
    unsafe fn input(&self, tiles: Range<usize>, planes: Planes, points: Out<'_>, first: usize) {
        let conv = &self.grid.conv;
        let source = Source {
            data: self.x,
            size: [conv.h, conv.w],
            channels: conv.c_in,
            used: (0, conv.c_in),
            before: conv.options.padding_begin,
            reach: T::REACH,
        };
        // SAFETY: the caller's promise.
        unsafe { transform(&self.grid, source, tiles, planes, points, first) };
    }

    /// Makes output channels of the tiles `block`, from the transformed tiles `all`.
    fn output(
        &self,
        all: Range<usize>,
        block: Range<usize>,
        points: &[f32],
        planes: Planes,
        cols: Range<usize>,
    ) {
        let (c_in, width, count) = (self.grid.conv.c_in, cols.len(), block.len());
        let plane = count * width + GAP;
        scratch(T::POINTS * plane, |products| {
            for (point, product) in products.chunks_exact_mut(plane).enumerate() {
                let start = point * planes.point + (block.start - all.start) * c_in;
                let product = Block {
                    a: Matrix::new(&points[start..start + count * c_in], c_in),
                    b: self.weights.at(point, cols.start),
                    out: Out::new(product, width),
                    origin: [0, 0],
                    plus: Plus::default(),
                    accumulate: false,
                };
                // SAFETY: the products are this task's alone.
                unsafe { product.run_packed(0..count, 0..width) };
            }
            dispatch(Output { job: self, block, products, plane, cols });
        });
    }
}

/// The transformation of products to tiles of the output.
struct Output<'a, 'b, T> {
    job: &'a Job<'b, T>,
    block: Range<usize>,
    products: &'a [f32],
    plane: usize,
    cols: Range<usize>,
}

impl<T: Tile> WithSimd for Output<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { job, block, products, plane, cols } = self;
        let (conv, zero) = (&job.grid.conv, simd.splat_f32s(0.0));
        for (slot, tile) in block.enumerate() {
            let place = job.grid.place(tile);
            let height = T::SIDE.min(conv.out_h - place.y);
            let width = T::SIDE.min(conv.out_w - place.x);
            let pixel = (place.sample * conv.out_h + place.y) * conv.out_w + place.x;
            for col in cols.clone().step_by(S::F32_LANES) {
                let len = S::F32_LANES.min(cols.end - col);
                let first = slot * cols.len() + col - cols.start;
                both_axes(
                    #[inline(always)]
                    |j| {
                        let mut column = [zero; 6];
                        for (i, value) in column.iter_mut().enumerate().take(T::REACH) {
                            let at = (i * T::REACH + j) * plane + first;
                            *value = load(simd, products, at, len);
                        }
                        T::output(simd, column)
                    },
                    T::REACH,
                    height,
                    #[inline(always)]
                    |i, row| {
                        for (j, value) in T::output(simd, row).into_iter().enumerate().take(width) {
                            let pixel = pixel + i * conv.out_w + j;
                            let value = job.plus.add(simd, value, pixel, col, conv.c_out, len);
                            // SAFETY: the tiles and channels of a task are its own.
                            let out = unsafe { job.out.row(pixel, col, len) };
                            store(simd, out, 0, len, value);
                        }
                    },
                    zero,
                );
            }
        }
    }
}
