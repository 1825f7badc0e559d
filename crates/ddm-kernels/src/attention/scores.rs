//! The scores of a block of keys with a panel of queries.

use std::ops::Range;

use pulp::Simd;

use super::panel::Panel;
use super::product::{Store, multiply};
use crate::buffer::scratch;
use crate::gemm::Matrix;

/// What makes the scores of a head: `k qᵀ · scale + mask`.
#[derive(Clone, Copy)]
pub(super) struct Scores<'a> {
    pub(super) k: Matrix<'a>,
    pub(super) scale: f32,
    pub(super) causal: bool,
    /// The mask of the sample, `[lq, lk]`.
    pub(super) mask: Option<&'a [f32]>,
}

impl Scores<'_> {
    /// Returns whether causality masks out all scores of a block of keys with a panel of queries.
    pub(super) fn masked(&self, keys: &Range<usize>, panel: &Panel) -> bool {
        self.causal && keys.start >= panel.first + panel.len
    }

    /// Makes the scores of a block of keys with the packed queries of a panel: a row for each key.
    #[inline(always)]
    pub(super) fn make<S: Simd, const V: usize>(
        &self,
        simd: S,
        keys: Range<usize>,
        panel: &Panel,
        q: &[f32],
        scores: &mut [f32],
    ) {
        let k = self.k.rows(keys.clone());
        multiply::<S, V>(simd, k, q, scores, Store::Scaled(self.scale));
        if let Some(mask) = self.mask {
            let (data, stride) = (&mask[keys.start..], self.k.rows);
            let columns = Matrix { data, cols: keys.len(), row_stride: stride, ..self.k };
            scratch(scores.len(), |mask| {
                panel.pack(columns, mask);
                scores.iter_mut().zip(mask).for_each(|(score, mask)| *score += *mask);
            });
        }
        if self.causal {
            for (key, scores) in keys.zip(scores.chunks_exact_mut(panel.width)) {
                let earlier_queries = key.saturating_sub(panel.first).min(panel.width);
                scores[..earlier_queries].fill(f32::NEG_INFINITY);
            }
        }
    }
}
