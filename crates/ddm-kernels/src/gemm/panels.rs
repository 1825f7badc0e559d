//! The packed right-hand side.

use super::Matrix;
use crate::buffer::Buffer;
use crate::simd::lanes;

/// A matrix packed for the right-hand side of a product: panels of two vectors of columns, each row
/// by row, the last filled up with zeros.
#[derive(Clone, Debug, Default)]
pub struct Panels {
    data: Buffer,
    rows: usize,
    cols: usize,
}

impl Panels {
    /// Packs a matrix.
    ///
    /// # Panics
    ///
    /// Panics if the matrix reaches beyond its memory.
    #[must_use]
    pub fn pack(b: Matrix<'_>) -> Self {
        let mut data = Buffer::zeroed(Self::packed_len(b.rows, b.cols));
        pack_into(b, &mut data);
        Self { data, rows: b.rows, cols: b.cols }
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Returns the matrix, row by row.
    #[must_use]
    pub fn unpack(&self) -> Vec<f32> {
        let width = 2 * lanes();
        let at = |row: usize, col: usize| {
            self.data[col / width * width * self.rows + row * width + col % width]
        };
        (0..self.rows * self.cols).map(|i| at(i / self.cols, i % self.cols)).collect()
    }

    /// Returns the bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val::<[f32]>(&self.data)
    }

    /// Returns the length in memory of a packed matrix.
    pub(crate) fn packed_len(rows: usize, cols: usize) -> usize {
        cols.next_multiple_of(2 * lanes()) * rows
    }

    pub(crate) fn data(&self) -> &[f32] {
        &self.data
    }
}

/// Packs a matrix into memory of [`Panels::packed_len`].
pub(crate) fn pack_into(b: Matrix<'_>, packed: &mut [f32]) {
    assert!(b.extent() <= b.data.len(), "a matrix of {} numbers in {}", b.extent(), b.data.len());
    assert_eq!(packed.len(), Panels::packed_len(b.rows, b.cols));
    if b.rows == 0 || b.cols == 0 {
        return;
    }
    let width = 2 * lanes();
    for (panel, first) in packed.chunks_exact_mut(width * b.rows).zip((0..b.cols).step_by(width)) {
        let cols = width.min(b.cols - first);
        let source = &b.data[first * b.col_stride..];
        if b.col_stride == 1 {
            for (row, to) in panel.chunks_exact_mut(width).enumerate() {
                let from = &source[row * b.row_stride..][..cols];
                to[..cols].copy_from_slice(from);
                to[cols..].fill(0.0);
            }
        } else {
            for (row, to) in panel.chunks_exact_mut(width).enumerate() {
                let from = source[row * b.row_stride..].iter().step_by(b.col_stride);
                to[..cols].iter_mut().zip(from).for_each(|(to, &from)| *to = from);
                to[cols..].fill(0.0);
            }
        }
    }
}
