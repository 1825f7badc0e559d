//! Matrix products `C = A B` with B packed in panels.
//!
//! Sources: Goto & van de Geijn, *Anatomy of High-Performance Matrix Multiplication*, ACM TOMS 34
//! (2008); Van Zee & van de Geijn, *BLIS*, ACM TOMS 41 (2015).

mod block;
mod panels;
mod transposed;

pub(crate) use block::{Block, Out, Packed};
pub use panels::Panels;
pub(crate) use panels::pack_into;
pub use transposed::matmul_transposed;

use pulp::Simd;
use rayon::prelude::*;

use crate::simd::load;

/// A matrix in memory: element (i, j) is at `i · row_stride + j · col_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The numbers.
    pub data: &'a [f32],
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub cols: usize,
    /// The distance of two rows in memory.
    pub row_stride: usize,
    /// The distance of two columns in memory.
    pub col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Returns `data` row by row as a matrix of `cols` columns.
    ///
    /// # Panics
    ///
    /// Panics if `cols` is 0 or does not divide the length of `data`.
    #[must_use]
    pub fn new(data: &'a [f32], cols: usize) -> Self {
        assert!(cols > 0 && data.len().is_multiple_of(cols), "rows of {cols} in {}", data.len());
        Self { data, rows: data.len() / cols, cols, row_stride: cols, col_stride: 1 }
    }

    /// Returns the transposed matrix, in the same memory.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Returns some of the rows.
    pub(crate) fn rows(self, rows: std::ops::Range<usize>) -> Self {
        Self { data: &self.data[rows.start * self.row_stride..], rows: rows.len(), ..self }
    }

    /// Returns some of the columns.
    pub(crate) fn cols(self, cols: std::ops::Range<usize>) -> Self {
        Self { data: &self.data[cols.start * self.col_stride..], cols: cols.len(), ..self }
    }

    /// Returns the least length of memory that holds all elements.
    pub(crate) fn extent(&self) -> usize {
        if self.rows == 0 || self.cols == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride + 1
    }
}

/// What is added to a product while it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plus<'a> {
    /// A number per column.
    pub bias: Option<&'a [f32]>,
    /// A number per group of rows and per column: the rows of a matrix, each for so many rows of
    /// the product.
    pub per_group: Option<(&'a [f32], usize)>,
    /// A number per element.
    pub residual: Option<&'a [f32]>,
}

impl Plus<'_> {
    #[inline(always)]
    fn is_nothing(&self) -> bool {
        self.bias.is_none() && self.per_group.is_none() && self.residual.is_none()
    }

    /// Returns what is added to an element, in a matrix of `cols` columns.
    #[inline(always)]
    pub(crate) fn of(&self, row: usize, col: usize, cols: usize) -> f32 {
        let bias = self.bias.map_or(0.0, |bias| bias[col]);
        let added = self.per_group.map_or(0.0, |(added, group)| added[row / group * cols + col]);
        bias + added + self.residual.map_or(0.0, |residual| residual[row * cols + col])
    }

    /// Adds to `len` elements of a row, in a matrix of `cols` columns.
    #[inline(always)]
    pub(crate) fn add<S: Simd>(
        &self,
        simd: S,
        mut sum: S::f32s,
        row: usize,
        col: usize,
        cols: usize,
        len: usize,
    ) -> S::f32s {
        let at = |data: &[f32], row: usize| load(simd, data, row * cols + col, len);
        if let Some(bias) = self.bias {
            sum = simd.add_f32s(sum, at(bias, 0));
        }
        if let Some((added, group)) = self.per_group {
            sum = simd.add_f32s(sum, at(added, row / group));
        }
        if let Some(residual) = self.residual {
            sum = simd.add_f32s(sum, at(residual, row));
        }
        sum
    }
}

/// The rows of a task: enough to use a panel of B often, and few enough to stay in the cache.
const ROWS: usize = 96;
/// The columns of a task if there are few rows.
const COLUMNS: usize = 64;

/// Writes `out = a b + plus`, row by row, on the threads of the current rayon pool.
///
/// Each element is summed in the order of k, so the result depends neither on the number of threads
/// nor on the other rows.
///
/// # Panics
///
/// Panics if the shapes do not fit.
pub fn matmul(a: Matrix<'_>, b: &Panels, out: &mut [f32], plus: Plus<'_>) {
    assert_eq!(a.cols, b.rows(), "columns of A and rows of B");
    assert_eq!(out.len(), a.rows * b.cols(), "elements of C");
    if out.is_empty() {
        return;
    }
    let out = Out::new(out, b.cols());
    // Threads share the rows evenly, or the columns where there are few rows and B is most of the
    // memory.
    let parts = a.rows.div_ceil(ROWS);
    let (parts, width) = if a.rows < 2 * ROWS {
        (parts, COLUMNS)
    } else {
        (parts.next_multiple_of(rayon::current_num_threads()), b.cols())
    };
    let tasks = parts * b.cols().div_ceil(width);
    let task = |i: usize| {
        let (part, col) = (i % parts, i / parts * width);
        let rows = part * a.rows / parts..(part + 1) * a.rows / parts;
        let cols = col..b.cols().min(col + width);
        // SAFETY: tasks have disjoint rows or columns.
        unsafe { Block { a, b, out, origin: [0, 0], plus, accumulate: false }.run(rows, cols) };
    };
    // Waking a thread costs microseconds: products smaller than that stay on this one.
    if tasks == 1 || a.rows * a.cols * b.cols() < 1 << 16 {
        (0..tasks).for_each(task);
    } else {
        (0..tasks).into_par_iter().for_each(task);
    }
}
