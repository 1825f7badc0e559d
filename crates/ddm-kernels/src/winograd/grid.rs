//! The tiles of a batch of images, and their transformation.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::tiles::{Six, Tile, both_axes, six};
use crate::conv::Conv2d;
use crate::simd::{dispatch, for_vectors, load, store};

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
}

/// A transformation of tiles along one axis.
pub(super) trait Along {
    /// The pixels of a tile along the axis.
    fn reach<T: Tile>() -> usize;
    /// Returns the values at the points of T.
    fn apply<T: Tile, S: Simd>(simd: S, pixels: Six<S::f32s>) -> Six<S::f32s>;
}

/// That of the input: `Bᵀ d`.
pub(super) struct OfInput;

/// That of the output's gradient: `A y`.
pub(super) struct OfGradient;

impl Along for OfInput {
    #[inline(always)]
    fn reach<T: Tile>() -> usize {
        T::REACH
    }
    #[inline(always)]
    fn apply<T: Tile, S: Simd>(simd: S, pixels: Six<S::f32s>) -> Six<S::f32s> {
        T::input(simd, pixels)
    }
}

impl Along for OfGradient {
    #[inline(always)]
    fn reach<T: Tile>() -> usize {
        T::SIDE
    }
    #[inline(always)]
    fn apply<T: Tile, S: Simd>(simd: S, pixels: Six<S::f32s>) -> Six<S::f32s> {
        T::spread(simd, pixels)
    }
}

/// Writes the transformed tiles of a range: `Bᵀ d B` for tiles of the input, `A y Aᵀ` for tiles of
/// the output's gradient.
pub(super) fn transform<T: Tile, A: Along>(
    grid: &Grid<T>,
    source: Source<'_>,
    tiles: Range<usize>,
    planes: Planes,
    out: &mut [f32],
) {
    dispatch(Transform { grid, source, tiles, planes, out, along: PhantomData::<A> });
}

struct Transform<'a, T, A> {
    grid: &'a Grid<T>,
    source: Source<'a>,
    tiles: Range<usize>,
    planes: Planes,
    out: &'a mut [f32],
    along: PhantomData<A>,
}

impl<T: Tile, A: Along> WithSimd for Transform<'_, T, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { grid, source, tiles, planes, out, .. } = self;
        let ([height, width], zero) = (source.size, simd.splat_f32s(0.0));
        for (slot, tile) in tiles.enumerate() {
            let place = grid.place(tile);
            // The offset of each row and column of the tile, if it lies in the image.
            let offset = |at: usize, before: usize, size: usize| {
                at.checked_sub(before).filter(|&at| at < size)
            };
            let rows = six(|i| {
                let y = offset(place.y + i, source.before[0], height);
                y.map(|y| (place.sample * height + y) * width * source.channels)
            });
            let cols = six(|j| {
                let x = offset(place.x + j, source.before[1], width);
                x.map(|x| x * source.channels)
            });
            for_vectors(
                simd,
                source.used.1 - source.used.0,
                #[inline(always)]
                |at: usize, len: usize| {
                    let channel = source.used.0 + at;
                    let first = slot * planes.tile
                        + at / planes.panel.0 * planes.panel.1
                        + at % planes.panel.0;
                    both_axes(
                        A::reach::<T>(),
                        #[inline(always)]
                        |j| {
                            let column = six(
                                #[inline(always)]
                                |i| match (rows[i], cols[j]) {
                                    (Some(row), Some(col)) if i < A::reach::<T>() => {
                                        load(simd, source.data, row + col + channel, len)
                                    }
                                    _ => zero,
                                },
                            );
                            A::apply::<T, S>(simd, column)
                        },
                        T::REACH,
                        #[inline(always)]
                        |i, row| {
                            let row = A::apply::<T, S>(simd, row);
                            six(
                                #[inline(always)]
                                |j| {
                                    if j < T::REACH {
                                        let at = first + (i * T::REACH + j) * planes.point;
                                        store(simd, out, at, len, row[j]);
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
