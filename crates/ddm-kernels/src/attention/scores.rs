//! The scores of a block of tokens with a panel of tokens.

use std::ops::Range;

use pulp::Simd;

use super::panel::{Panel, Store, multiply, rows};
use crate::gemm::Matrix;

/// Which tokens are the rows of a block; the others are its panel.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Rows {
    Keys,
    Queries,
}

/// What makes the scores of a head: `tokens tokensᵀ · scale + mask`.
#[derive(Clone, Copy)]
pub(super) struct Scores<'a> {
    /// The queries or the keys.
    pub(super) tokens: Matrix<'a>,
    pub(super) rows: Rows,
    pub(super) scale: f32,
    pub(super) causal: bool,
    /// The mask of the sample, `[lq, lk]`.
    pub(super) mask: Option<&'a [f32]>,
    pub(super) lk: usize,
}

impl Scores<'_> {
    /// Returns whether all scores of the block are masked out.
    pub(super) fn masked(&self, block: &Range<usize>, panel: &Panel) -> bool {
        let (last_query, first_key) = match self.rows {
            Rows::Keys => (panel.first + panel.len - 1, block.start),
            Rows::Queries => (block.end - 1, panel.first),
        };
        self.causal && first_key > last_query
    }

    /// Makes the scores of the tokens `block` with those of a packed panel.
    #[inline(always)]
    pub(super) fn make<S: Simd, const V: usize>(
        &self,
        simd: S,
        block: Range<usize>,
        panel: &Panel,
        packed: &[f32],
        scores: &mut [f32],
    ) {
        let tokens = rows(self.tokens, block.clone());
        multiply::<S, V>(simd, tokens, packed, scores, Store::Scaled(self.scale));
        let (width, lk) = (panel.width, self.lk);
        if let Some(mask) = self.mask {
            for (i, scores) in block.clone().zip(scores.chunks_exact_mut(width)) {
                let scores = scores[..panel.len].iter_mut();
                match self.rows {
                    Rows::Keys => {
                        let mask = mask[panel.first * lk + i..].iter().step_by(lk);
                        scores.zip(mask).for_each(|(score, mask)| *score += mask);
                    }
                    Rows::Queries => {
                        let mask = &mask[i * lk + panel.first..];
                        scores.zip(mask).for_each(|(score, mask)| *score += mask);
                    }
                }
            }
        }
        if self.causal {
            for (i, scores) in block.zip(scores.chunks_exact_mut(width)) {
                match self.rows {
                    // Queries before key i.
                    Rows::Keys => scores[..i.saturating_sub(panel.first).min(width)].fill(MASKED),
                    // Keys after query i.
                    Rows::Queries => {
                        scores[(i + 1).saturating_sub(panel.first).min(width)..].fill(MASKED);
                    }
                }
            }
        }
    }
}

const MASKED: f32 = f32::NEG_INFINITY;
