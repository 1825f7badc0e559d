//! Sums over the rows of a matrix, with vectors along the columns.

use pulp::Simd;

use crate::simd::load;

/// What is summed over the rows: `T` numbers for each element.
pub(crate) trait Terms<const T: usize> {
    /// Returns the numbers of `len` elements, at most a vector, from `col` on in `row`.
    fn at<S: Simd>(&mut self, simd: S, row: usize, col: usize, len: usize) -> [S::f32s; T];
}

/// The elements themselves, of a matrix of so many columns.
pub(crate) struct Elements<'a>(pub(crate) &'a [f32], pub(crate) usize);

impl Terms<1> for Elements<'_> {
    #[inline(always)]
    fn at<S: Simd>(&mut self, simd: S, row: usize, col: usize, len: usize) -> [S::f32s; 1] {
        [load(simd, self.0, row * self.1 + col, len)]
    }
}

/// Writes the sums over the rows `0`, `step`, `2 step` … below `rows`, a number for each column.
///
/// Each column is summed by itself in the order of the rows, so it does not matter which columns
/// are at its side.
#[inline(always)]
pub(crate) fn sum_rows<S: Simd, const T: usize>(
    simd: S,
    (rows, step): (usize, usize),
    terms: &mut impl Terms<T>,
    mut sums: [&mut [f32]; T],
) {
    let (cols, lanes) = (sums[0].len(), S::F32_LANES);
    let mut col = 0;
    // Up to four vectors of columns side by side, so that additions need not wait for each other.
    while col + 4 * lanes <= cols {
        block::<S, T, 4>(simd, (rows, step), terms, &mut sums, (col, lanes));
        col += 4 * lanes;
    }
    if col + 2 * lanes <= cols {
        block::<S, T, 2>(simd, (rows, step), terms, &mut sums, (col, lanes));
        col += 2 * lanes;
    }
    if col + lanes <= cols {
        block::<S, T, 1>(simd, (rows, step), terms, &mut sums, (col, lanes));
        col += lanes;
    }
    if col < cols {
        block::<S, T, 1>(simd, (rows, step), terms, &mut sums, (col, cols - col));
    }
}

/// Sums V vectors of `len` columns.
#[inline(always)]
fn block<S: Simd, const T: usize, const V: usize>(
    simd: S,
    (rows, step): (usize, usize),
    terms: &mut impl Terms<T>,
    sums: &mut [&mut [f32]; T],
    (col, len): (usize, usize),
) {
    let mut totals = [[simd.splat_f32s(0.0); T]; V];
    let mut row = 0;
    while row < rows {
        for (v, totals) in totals.iter_mut().enumerate() {
            let terms = terms.at(simd, row, col + v * len, len);
            for (total, term) in totals.iter_mut().zip(terms) {
                *total = simd.add_f32s(*total, term);
            }
        }
        row += step;
    }
    for (v, totals) in totals.into_iter().enumerate() {
        for (sums, total) in sums.iter_mut().zip(totals) {
            simd.partial_store_f32s(&mut sums[col + v * len..][..len], total);
        }
    }
}
