//! Panels: a few tokens side by side, one in each lane of one or two vectors.

use crate::gemm::{Matrix, Out};

/// Neighbouring tokens, which fill one or two vectors.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub(super) first: usize,
    /// The number of tokens; the other lanes hold zeros.
    pub(super) len: usize,
    /// The number of lanes.
    pub(super) width: usize,
}

impl Panel {
    /// Returns the panel of the tokens from `first` on, of at most two vectors.
    pub(super) fn new(first: usize, end: usize, lanes: usize) -> Self {
        let len = (end - first).min(2 * lanes);
        Self { first, len, width: if len <= lanes { lanes } else { 2 * lanes } }
    }

    /// Packs the tokens' rows: number (channel, lane) is at `channel · width + lane`.
    pub(super) fn pack(&self, rows: Matrix<'_>, to: &mut [f32]) {
        let (width, d) = (self.width, rows.cols);
        let tokens = &rows.data[self.first * rows.row_stride..];
        let mut lane = 0;
        while lane + 4 <= self.len {
            let mut four = [&tokens[..0]; 4];
            for (i, row) in four.iter_mut().enumerate() {
                *row = &tokens[(lane + i) * rows.row_stride..][..d];
            }
            for c in 0..d / 4 {
                let square = transposed(square(four, 4 * c));
                for (i, column) in square.iter().enumerate() {
                    to[(4 * c + i) * width + lane..][..4].copy_from_slice(column);
                }
            }
            for c in d / 4 * 4..d {
                for (i, row) in four.iter().enumerate() {
                    to[c * width + lane + i] = row[c];
                }
            }
            lane += 4;
        }
        for lane in lane..self.len {
            let row = &tokens[lane * rows.row_stride..][..d];
            for (to, x) in to.chunks_exact_mut(width).zip(row) {
                to[lane] = *x;
            }
        }
        if self.len < width {
            to.chunks_exact_mut(width).for_each(|to| to[self.len..].fill(0.0));
        }
    }

    /// Writes packed numbers to the tokens' rows.
    ///
    /// # Safety
    ///
    /// The rows lie in `out` from the column on, and nothing else uses these elements.
    pub(super) unsafe fn unpack(&self, from: &[f32], out: Out<'_>, first_row: usize, col: usize) {
        let width = self.width;
        let d = from.len() / width;
        let mut lane = 0;
        while lane + 4 <= self.len {
            for (i, row) in (first_row + self.first + lane..).take(4).enumerate() {
                // SAFETY: the caller's promise.
                let row = unsafe { out.row(row, col, d) };
                for c in d / 4 * 4..d {
                    row[c] = from[c * width + lane + i];
                }
            }
            for c in 0..d / 4 {
                let mut four = [from; 4];
                for (i, row) in four.iter_mut().enumerate() {
                    *row = &from[(4 * c + i) * width..][..width];
                }
                let square = transposed(square(four, lane));
                for (i, column) in square.iter().enumerate() {
                    let row = first_row + self.first + lane + i;
                    // SAFETY: the caller's promise.
                    unsafe { out.row(row, col + 4 * c, 4) }.copy_from_slice(column);
                }
            }
            lane += 4;
        }
        for lane in lane..self.len {
            // SAFETY: the caller's promise.
            let row = unsafe { out.row(first_row + self.first + lane, col, d) };
            for (from, x) in from.chunks_exact(width).zip(row) {
                *x = from[lane];
            }
        }
    }
}

/// Returns four columns of four rows.
#[inline(always)]
fn square(rows: [&[f32]; 4], first: usize) -> [[f32; 4]; 4] {
    let mut square = [[0.0; 4]; 4];
    for (to, row) in square.iter_mut().zip(rows) {
        to.copy_from_slice(&row[first..first + 4]);
    }
    square
}

/// Returns the columns of a square as rows.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transposed(square: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    // The compiler would move the numbers one by one.
    use std::arch::x86_64::{
        __m128, _mm_movehl_ps, _mm_movelh_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
    };
    let [a, b, c, d]: [__m128; 4] = bytemuck::cast(square);
    // SAFETY: SSE is part of x86-64.
    let columns = unsafe {
        let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
        let (ab_end, cd_end) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
        [
            _mm_movelh_ps(ab, cd),
            _mm_movehl_ps(cd, ab),
            _mm_movelh_ps(ab_end, cd_end),
            _mm_movehl_ps(cd_end, ab_end),
        ]
    };
    bytemuck::cast(columns)
}

/// Returns the columns of a square as rows.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn transposed(square: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    let mut columns = [[0.0; 4]; 4];
    for (i, row) in square.iter().enumerate() {
        for (column, x) in columns.iter_mut().zip(row) {
            column[i] = *x;
        }
    }
    columns
}
