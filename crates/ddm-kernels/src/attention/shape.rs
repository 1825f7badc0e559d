//! The sizes of an attention.

use crate::simd::lanes;

/// The sizes of an attention, and how its scores are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// The number of samples.
    pub n: usize,
    /// The number of queries of a sample.
    pub lq: usize,
    /// The number of keys and values of a sample.
    pub lk: usize,
    /// The number of heads.
    pub heads: usize,
    /// The number of channels of a head.
    pub d: usize,
    /// What the scores are multiplied with, usually 1/√d.
    pub scale: f32,
    /// Whether query i sees keys 0 to i only.
    pub causal: bool,
}

impl Shape {
    /// Returns the shape of `n` samples of `lq` queries and `lk` keys, `heads` heads of `d` channels,
    /// with scale 1/√d and not causal.
    #[must_use]
    pub fn new(n: usize, lq: usize, lk: usize, heads: usize, d: usize) -> Self {
        Self { n, lq, lk, heads, d, scale: 1.0 / (d as f32).sqrt(), causal: false }
    }

    /// Returns the number of channels, those of all heads.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.heads * self.d
    }

    /// Returns the number of multiplications of a product, to tell what is worth a thread.
    pub(super) fn work(&self) -> usize {
        self.n * self.lq * self.lk * self.channels()
    }

    /// Returns how many panels of queries share a task of the forward pass.
    ///
    /// More of them read a block of keys from the cache once for all; fewer keep more threads busy.
    /// The result does not depend on it.
    pub(super) fn panels(&self) -> usize {
        let width = 2 * lanes();
        let all = self.n * self.heads * self.lq.div_ceil(width);
        let fit = PANELS_LEN / (2 * self.d * width).max(1);
        (all / (4 * rayon::current_num_threads())).clamp(1, fit.clamp(1, 4))
    }
}

/// The length in memory of the panels of a task: half a usual second-level cache.
const PANELS_LEN: usize = 1 << 16;
