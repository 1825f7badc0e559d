//! Panels: a few tokens side by side, one in each lane of one or two vectors.

use std::ops::Range;

use pulp::{Simd, WithSimd};

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

// Not with `map`, which may stay a call.
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

/// Returns the given rows of a matrix.
pub(super) fn rows(matrix: Matrix<'_>, rows: Range<usize>) -> Matrix<'_> {
    let data = &matrix.data[rows.start * matrix.row_stride..];
    Matrix { data, rows: rows.len(), ..matrix }
}

/// What a product does with the numbers that are in its memory.
#[derive(Clone, Copy)]
pub(super) enum Store<'a> {
    /// `out = scale a b`
    Scaled(f32),
    /// `out += a b`
    Sum,
    /// `out = factor ∘ out + a b`, with a factor for each lane.
    ScaledSum(&'a [f32]),
}

/// Makes `out = a panel` or what `store` says: a row of the panel for each column of A.
#[inline(always)]
pub(super) fn multiply<S: Simd, const V: usize>(
    simd: S,
    a: Matrix<'_>,
    panel: &[f32],
    out: &mut [f32],
    store: Store<'_>,
) {
    simd.vectorize(Product::<V> { a, panel, out, store });
}

struct Product<'a, const V: usize> {
    a: Matrix<'a>,
    panel: &'a [f32],
    out: &'a mut [f32],
    store: Store<'a>,
}

impl<const V: usize> WithSimd for Product<'_, V> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Matrix { data, rows, cols, .. } = self.a;
        let width = V * S::F32_LANES;
        assert!(self.a.extent() <= data.len());
        assert!(cols * width <= self.panel.len() && rows * width <= self.out.len());
        let mut tiles = Tiles { product: self, row: 0 };
        // SAFETY: the lengths are checked.
        unsafe {
            if S::REGISTER_COUNT >= 32 {
                tiles.run::<S, 12>(simd);
                tiles.run::<S, 8>(simd);
            } else {
                tiles.run::<S, 6>(simd);
            }
            tiles.run::<S, 4>(simd);
            tiles.run::<S, 2>(simd);
            tiles.run::<S, 1>(simd);
        }
    }
}

struct Tiles<'a, const V: usize> {
    product: Product<'a, V>,
    /// The first row to be made.
    row: usize,
}

impl<const V: usize> Tiles<'_, V> {
    /// Makes tiles of R rows while there are so many.
    ///
    /// # Safety
    ///
    /// The matrix, the panel and the output lie in their memory.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize>(&mut self, simd: S) {
        let Product { a, panel, out, store } = &mut self.product;
        let panel = S::as_simd_f32s(panel).0.as_chunks::<V>().0;
        while self.row + R <= a.rows {
            let first = self.row * a.row_stride;
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            // SAFETY: the caller's promise.
            for (p, b) in unsafe { panel.get_unchecked(..a.cols) }.iter().enumerate() {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let at = first + i * a.row_stride + p * a.col_stride;
                    // SAFETY: the caller's promise.
                    let x = simd.splat_f32s(unsafe { *a.data.get_unchecked(at) });
                    for (sum, b) in sum.iter_mut().zip(b) {
                        *sum = simd.mul_add_e_f32s(x, *b, *sum);
                    }
                }
            }
            let (out, _) = S::as_mut_simd_f32s(out);
            let (out, _) = out[self.row * V..][..R * V].as_chunks_mut::<V>();
            match store {
                Store::Scaled(scale) => {
                    let scale = simd.splat_f32s(*scale);
                    for (out, sum) in out.iter_mut().zip(sums) {
                        for (out, sum) in out.iter_mut().zip(sum) {
                            *out = simd.mul_f32s(sum, scale);
                        }
                    }
                }
                Store::Sum => {
                    for (out, sum) in out.iter_mut().zip(sums) {
                        for (out, sum) in out.iter_mut().zip(sum) {
                            *out = simd.add_f32s(*out, sum);
                        }
                    }
                }
                Store::ScaledSum(factor) => {
                    let factor = S::as_simd_f32s(factor).0;
                    for (out, sum) in out.iter_mut().zip(sums) {
                        for ((out, sum), factor) in out.iter_mut().zip(sum).zip(factor) {
                            *out = simd.mul_add_e_f32s(*out, *factor, sum);
                        }
                    }
                }
            }
            self.row += R;
        }
    }
}
