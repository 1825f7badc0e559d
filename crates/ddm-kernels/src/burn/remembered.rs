//! Products of rows that come again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::gemm::{Matrix, Panels, Plus, matmul};

/// The most rows that are remembered.
const MOST: usize = 128;

/// The bits of a row.
type Row = Box<[u32]>;

/// The products of rows with one matrix.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<HashMap<Row, Box<[f32]>>>);

impl Remembered {
    /// Writes `x weights`, as [`matmul`] does, and computes only the rows that are new.
    pub(super) fn product(&self, x: Matrix<'_>, weights: &Panels, out: &mut [f32]) {
        let rows: Vec<&[u32]> = x.data.chunks_exact(x.cols).map(bytemuck::cast_slice).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new: Vec<&[u32]> =
            rows.iter().copied().filter(|row| !known.contains_key(*row)).collect();
        if known.len() + new.len() > MOST {
            known.clear();
            new.clone_from(&rows);
        }
        new.sort_unstable();
        new.dedup();
        let mut products = vec![0.0; new.len() * weights.cols()];
        let values: Vec<f32> =
            new.iter().flat_map(|row| bytemuck::cast_slice(row)).copied().collect();
        matmul(Matrix::new(&values, x.cols), weights, &mut products, Plus::default());
        for (row, product) in new.into_iter().zip(products.chunks_exact(weights.cols())) {
            known.insert(row.into(), product.into());
        }
        for (row, out) in rows.into_iter().zip(out.chunks_exact_mut(weights.cols())) {
            out.copy_from_slice(&known[row]);
        }
    }
}
