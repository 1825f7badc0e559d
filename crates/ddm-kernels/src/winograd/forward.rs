//! The forward pass.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::grid::{Grid, OfInput, Planes, Source, transform};
use super::tiles::{Tile, both_axes, six};
use super::weights::Transformed;
use crate::buffer::scratch;
use crate::conv::Conv2d;
use crate::gemm::{Block, Matrix, Out, Plus};
use crate::simd::{dispatch, for_vectors, lanes, load, store};

/// The memory of a block of tiles, in numbers: what stays in a core's own cache.
const BLOCK: usize = 200_000;
/// The tiles of a block whose weights do not stay in that cache, so are read again for each block.
const MANY: usize = 36;
/// The least tiles for which a thread reads the weights.
const LEAST: usize = 12;
/// What is left free between two points, so that they do not fall on the same lines of the cache.
const GAP: usize = 16;

/// Writes `x * weights + plus`.
///
/// A task makes some output channels of a block of tiles, from begin to end: cores that hand tiles to
/// each other wait for them longer than it takes to transform them again.
pub(crate) fn forward<T: Tile>(
    conv: &Conv2d,
    x: &[f32],
    weights: &Transformed<T>,
    plus: Plus<'_>,
    out: &mut [f32],
) {
    let grid = Grid::<T>::new(conv);
    let (tiles, threads) = (grid.tiles(), rayon::current_num_threads());
    let (tile, all) = (conv.c_in + conv.c_out, conv.c_in * conv.c_out);
    let least = if T::POINTS * all > 2 * BLOCK { MANY } else { LEAST };
    let most = (BLOCK / (T::POINTS * tile)).clamp(least, 240) / 12 * 12;
    let blocks = match tiles.div_ceil(most) {
        blocks if blocks >= threads => blocks.next_multiple_of(threads),
        blocks => blocks.max(threads.min(tiles / LEAST)),
    };
    // Where there are fewer blocks than threads, these share the output channels.
    let width = conv.c_out.div_ceil(threads.div_ceil(blocks.max(1))).next_multiple_of(2 * lanes());
    let columns = conv.c_out.div_ceil(width);
    let job = Job { grid, x, weights, plus, out: Out::new(out, conv.c_out) };
    (0..blocks * columns).into_par_iter().for_each(|i| {
        let (block, column) = (i / columns, i % columns * width);
        let block = block * tiles / blocks..(block + 1) * tiles / blocks;
        job.run(block, column..conv.c_out.min(column + width));
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
    /// Makes output channels of a block of tiles.
    fn run(&self, block: Range<usize>, cols: Range<usize>) {
        let (conv, width, count) = (&self.grid.conv, cols.len(), block.len());
        let source = Source {
            data: self.x,
            size: [conv.h, conv.w],
            channels: conv.c_in,
            used: (0, conv.c_in),
            before: conv.options.padding_begin,
        };
        let point = count * conv.c_in + GAP;
        let planes = Planes { point, tile: conv.c_in, panel: (conv.c_in, 0) };
        let plane = count * width + GAP;
        scratch(T::POINTS * point, |points| {
            transform::<T, OfInput>(&self.grid, source, block.clone(), planes, points);
            scratch(T::POINTS * plane, |products| {
                self.weights.parts(cols.clone(), |part| {
                    let tiles = &points[part.point * point..][..count * conv.c_in];
                    let product = &mut products[part.point * plane..][..count * width];
                    let product = Block {
                        a: Matrix::new(tiles, conv.c_in).cols(part.inputs.clone()),
                        b: part.matrix,
                        out: Out::new(product, width),
                        origin: [0, part.outputs.start - cols.start],
                        plus: Plus::default(),
                        accumulate: part.inputs.start > 0,
                    };
                    // SAFETY: the products are this task's alone.
                    unsafe { product.run_packed(0..count, 0..part.outputs.len()) };
                });
                dispatch(Output { job: self, block, products, plane, cols });
            });
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
            for_vectors(
                simd,
                cols.len(),
                #[inline(always)]
                |at: usize, len: usize| {
                    let (first, col) = (slot * cols.len() + at, cols.start + at);
                    both_axes(
                        T::REACH,
                        #[inline(always)]
                        |j| {
                            let column = six(
                                #[inline(always)]
                                |i| match i < T::REACH {
                                    true => load(
                                        simd,
                                        products,
                                        (i * T::REACH + j) * plane + first,
                                        len,
                                    ),
                                    false => zero,
                                },
                            );
                            T::output(simd, column)
                        },
                        height,
                        #[inline(always)]
                        |i, row| {
                            let row = T::output(simd, row);
                            six(
                                #[inline(always)]
                                |j| {
                                    if j < width {
                                        let pixel = pixel + i * conv.out_w + j;
                                        let value =
                                            job.plus.add(simd, row[j], pixel, col, conv.c_out, len);
                                        // SAFETY: the tiles and channels of a task are its own.
                                        let out = unsafe { job.out.row(pixel, col, len) };
                                        store(simd, out, 0, len, value);
                                    }
                                },
                            );
                        },
                        zero,
                    );
                },
            );
        }
    }
}
