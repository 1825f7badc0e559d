//! All pairs of rows of two sets, without a matrix of them.

use rayon::prelude::*;

use crate::Features;

/// Rows that are compared with the other set in one pass over it, so that it is read from memory once
/// for all of them.
const BLOCK: usize = 8;

/// Calls `summary` for each row of `a` with its index and `pair(row, other)` for all rows of `b` in
/// order; returns what it returns, in order. The summary may reorder or change the numbers.
///
/// Memory: `BLOCK` times the rows of `b`, in each thread. Each summary is computed by one thread, so the
/// result does not depend on their number.
pub(crate) fn by_row<T: Send>(
    a: &Features,
    b: &Features,
    pair: impl Fn(&[f64], &[f64]) -> f64 + Sync,
    summary: impl Fn(usize, &mut [f64]) -> T + Sync,
) -> Vec<T> {
    let n = b.rows();
    let blocks = a.values().par_chunks(BLOCK * a.width()).enumerate();
    let summaries = blocks.flat_map_iter(|(block, rows)| {
        let rows: Vec<&[f64]> = rows.chunks_exact(a.width()).collect();
        let mut numbers = vec![0.0; rows.len() * n];
        for (column, other) in b.iter().enumerate() {
            for (row, features) in rows.iter().enumerate() {
                numbers[row * n + column] = pair(features, other);
            }
        }
        let numbers = numbers.chunks_exact_mut(n).enumerate();
        numbers.map(|(row, numbers)| summary(block * BLOCK + row, numbers)).collect::<Vec<_>>()
    });
    summaries.collect()
}

/// Returns Σ (xᵢ − yᵢ)²: 0 for equal rows, and the same with x and y exchanged, to the bit.
pub(crate) fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    sum(x, y, |x, y| (x - y) * (x - y))
}

/// Returns Σ xᵢ yᵢ.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    sum(x, y, |x, y| x * y)
}

/// Returns the sum of a term per element, as eight sums that the CPU adds side by side.
fn sum(x: &[f64], y: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let (mut sums, mut rest) = ([0.0; 8], 0.0);
    let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
    for (x, y) in xs.remainder().iter().zip(ys.remainder()) {
        rest += term(*x, *y);
    }
    for (x, y) in xs.zip(ys) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += term(*x, *y);
        }
    }
    sums.iter().sum::<f64>() + rest
}
