//! The tiles of a batch of images, and their transformation.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::tiles::{Tile, both_axes};
use crate::conv::Conv2d;
use crate::gemm::Out;
use crate::simd::{dispatch, load, store};

/// The tiles of the outputs of a convolution, sample by sample and row by row.
#[derive(Clone, Copy)]
pub(super) struct Grid<T> {
    pub(super) conv: Conv2d,
    rows: usize,
    cols: usize,
    tile: PhantomData<T>,
}

/// Where a tile lies: its sample, and its first output.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) sample: usize,
    pub(super) y: usize,
    pub(super) x: usize,
}

impl<T: Tile> Grid<T> {
    pub(super) fn new(conv: &Conv2d) -> Self {
        let (rows, cols) = (conv.out_h.div_ceil(T::SIDE), conv.out_w.div_ceil(T::SIDE));
        Self { conv: *conv, rows, cols, tile: PhantomData }
    }

    pub(super) fn tiles(&self) -> usize {
        self.conv.n * self.rows * self.cols
    }

    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> Place {
        let (sample, rest) = (tile / (self.rows * self.cols), tile % (self.rows * self.cols));
        Place { sample, y: rest / self.cols * T::SIDE, x: rest % self.cols * T::SIDE }
    }
}

/// How the transformed tiles lie in memory: element (point, tile, channel).
#[derive(Clone, Copy)]
pub(super) struct Planes {
    /// The distance of two points.
    pub(super) point: usize,
    /// The distance of two tiles.
    pub(super) tile: usize,
    /// The channels that follow each other, and the distance to the next so many: a panel.
    pub(super) panel: (usize, usize),
}

impl Planes {
    #[inline(always)]
    fn at(&self, point: usize, tile: usize, channel: usize) -> usize {
        let (width, stride) = self.panel;
        point * self.point + tile * self.tile + channel / width * stride + channel % width
    }
}

/// The images that a transformation reads, and which of their pixels belong to a tile.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) data: &'a [f32],
    pub(super) size: [usize; 2],
    pub(super) channels: usize,
    /// The channels that are read.
    pub(super) used: (usize, usize),
    /// The pixels between the first of a tile and that of its output.
    pub(super) before: [usize; 2],
    /// The pixels of a tile along an axis.
    pub(super) reach: usize,
}

/// Writes the transformed tiles of a range, the first of them as number `first` in memory: `Bᵀ d B`
/// for tiles of the input, `A y Aᵀ` for tiles of the output's gradient.
///
/// # Safety
///
/// Nothing else uses the elements of these tiles in `out` meanwhile.
pub(super) unsafe fn transform<T: Tile>(
    grid: &Grid<T>,
    source: Source<'_>,
    tiles: Range<usize>,
    planes: Planes,
    out: Out<'_>,
    first: usize,
) {
    dispatch(Transform { grid, source, tiles, planes, out, first });
}

struct Transform<'a, T> {
    grid: &'a Grid<T>,
    source: Source<'a>,
    tiles: Range<usize>,
    planes: Planes,
    out: Out<'a>,
    first: usize,
}

impl<T: Tile> WithSimd for Transform<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { grid, source, tiles, planes, out, first } = self;
        let ([height, width], lanes) = (source.size, S::F32_LANES);
        for (slot, tile) in tiles.enumerate() {
            let place = grid.place(tile);
            // The offset of each row and column of the tile, if it lies in the image.
            let mut rows = [None; 6];
            let mut cols = [None; 6];
            for i in 0..source.reach {
                let inside = |at: usize, before: usize, size: usize| {
                    (at + i).checked_sub(before).filter(|&at| at < size)
                };
                rows[i] = inside(place.y, source.before[0], height)
                    .map(|y| (place.sample * height + y) * width * source.channels);
                cols[i] = inside(place.x, source.before[1], width).map(|x| x * source.channels);
            }
            for channel in (source.used.0..source.used.1).step_by(lanes) {
                let len = lanes.min(source.used.1 - channel);
                let pixel = |i: usize, j: usize| match (rows[i], cols[j]) {
                    (Some(row), Some(col)) => load(simd, source.data, row + col + channel, len),
                    _ => simd.splat_f32s(0.0),
                };
                let zero = simd.splat_f32s(0.0);
                both_axes(
                    #[inline(always)]
                    |j| {
                        let mut column = [zero; 6];
                        for (i, value) in column.iter_mut().enumerate().take(source.reach) {
                            *value = pixel(i, j);
                        }
                        along::<T, S>(simd, source.reach, column)
                    },
                    source.reach,
                    T::REACH,
                    #[inline(always)]
                    |i, row| {
                        let row = along::<T, S>(simd, source.reach, row);
                        for (j, value) in row.into_iter().enumerate().take(T::REACH) {
                            let point = i * T::REACH + j;
                            let at = planes.at(point, first + slot, channel - source.used.0);
                            // SAFETY: `transform`'s caller excludes others.
                            let out = unsafe { out.row(at, 0, len) };
                            store(simd, out, 0, len, value);
                        }
                    },
                    zero,
                );
            }
        }
    }
}

/// The transformation along one axis: of the input if the tile is that wide, else of the gradient.
#[inline(always)]
fn along<T: Tile, S: Simd>(simd: S, reach: usize, values: [S::f32s; 6]) -> [S::f32s; 6] {
    if reach == T::REACH { T::input(simd, values) } else { T::spread(simd, values) }
}
