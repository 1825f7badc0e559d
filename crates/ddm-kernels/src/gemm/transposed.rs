//! Products whose sum runs over the rows of both matrices: the gradients of weights.

use rayon::prelude::*;

use super::{Block, Matrix, Out, Packed, Panels, Plus, ROWS, pack_into};
use crate::buffer::scratch;

/// The least rows of a chunk, and the most chunks. They are fixed, so that the sums do not depend on
/// the threads.
const LEAST: usize = 1024;
const CHUNKS: usize = 8;

/// Writes `out = aᵀ b`, row by row, for two matrices of as many rows.
///
/// # Panics
///
/// Panics if the shapes do not fit.
pub fn matmul_transposed(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    assert_eq!(a.rows, b.rows, "rows of A and of B");
    assert_eq!(out.len(), a.cols * b.cols, "elements of C");
    let chunks = (a.rows / LEAST).clamp(1, CHUNKS);
    let parts = a.cols.div_ceil(ROWS);
    let task = |i: usize, out: Out<'_>, first: usize| {
        let (chunk, part) = (i / parts, i % parts);
        let rows = chunk * a.rows / chunks..(chunk + 1) * a.rows / chunks;
        let (a, b) = (a.rows(rows.clone()), b.rows(rows));
        scratch(Panels::packed_len(b.rows, b.cols), |packed| {
            pack_into(b, packed);
            let b = Packed::new(packed, b.rows, b.cols);
            let (a, origin, plus) = (a.transposed(), [first, 0], Plus::default());
            let block = Block { a, b, out, origin, plus, accumulate: false };
            let rows = part * ROWS..a.rows.min((part + 1) * ROWS);
            // SAFETY: tasks have disjoint rows of the memory.
            unsafe { block.run_packed(rows, 0..b.cols) };
        });
    };
    let rows = b.cols;
    if chunks == 1 {
        let out = Out::new(out, rows);
        return (0..parts).into_par_iter().for_each(|i| task(i, out, 0));
    }
    scratch(chunks * out.len(), |sums| {
        let shared = Out::new(sums, rows);
        (0..chunks * parts).into_par_iter().for_each(|i| task(i, shared, i / parts * a.cols));
        let len = out.len();
        out.par_chunks_mut(1 << 12).enumerate().for_each(|(i, out)| {
            let first = i << 12;
            out.copy_from_slice(&sums[first..][..out.len()]);
            for chunk in 1..chunks {
                let sum = &sums[chunk * len + first..][..out.len()];
                out.iter_mut().zip(sum).for_each(|(out, sum)| *out += sum);
            }
        });
    });
}
