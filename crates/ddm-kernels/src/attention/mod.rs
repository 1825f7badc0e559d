//! Attention: softmax(q kᵀ · scale + mask) v, in memory linear in the length.
//!
//! Blocks of queries meet blocks of keys, and the softmax keeps a running maximum and sum (Milakov &
//! Gimelshein, *Online normalizer calculation for softmax*, arXiv 1805.02867; Dao et al.,
//! *FlashAttention*, arXiv 2205.14135, algorithm 1). The queries lie side by side in the lanes of the
//! vectors: so the vectors are full for any size of the heads, keys and values are read where they
//! lie, and the softmax needs no sums across a vector.
//!
//! The result of a token has the same bits for any number of threads and any batch.

mod backward;
mod forward;
mod panel;
mod scores;

pub use backward::{Gradients, Results, backward};
pub use forward::forward;

use scores::Scores;

use crate::gemm::Matrix;
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
    fn work(&self) -> usize {
        self.n * self.lq * self.lk * self.channels()
    }

    /// Returns how many panels of tokens share a task.
    ///
    /// More of them read a block of the other tokens from the cache once for all; fewer keep more
    /// threads busy. The result does not depend on it. `packed` is the number of packed values of a
    /// token.
    fn panels(&self, tokens: usize, packed: usize) -> usize {
        let width = 2 * lanes();
        let all = self.n * self.heads * tokens.div_ceil(width);
        let fit = PANELS_LEN / (packed * width).max(1);
        (all / (4 * rayon::current_num_threads())).clamp(1, fit.clamp(1, 4))
    }
}

/// The length in memory of the panels of a task: half a usual second-level cache.
const PANELS_LEN: usize = 1 << 16;

/// The number of tokens of a block: a panel's scores stay in the nearest cache.
const BLOCK: usize = 96;

/// Below this number of multiplications, waking a thread costs more than it gains.
const SERIAL: usize = 1 << 16;

/// A batch of sequences of tokens, `[n, length, channels]`, perhaps a view of a larger tensor.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// The numbers, from the first of the view on.
    pub data: &'a [f32],
    /// The distance of two tokens in memory.
    pub row_stride: usize,
    /// The distance of two samples in memory.
    pub sample_stride: usize,
}

impl<'a> Sequence<'a> {
    /// Returns a contiguous batch of sequences.
    #[must_use]
    pub fn contiguous(data: &'a [f32], length: usize, channels: usize) -> Self {
        Self { data, row_stride: channels, sample_stride: length * channels }
    }

    fn check(&self, name: &str, n: usize, length: usize, channels: usize) {
        if n > 0 && length > 0 && channels > 0 {
            let Self { row_stride, sample_stride, .. } = self;
            let least = (n - 1) * sample_stride + (length - 1) * row_stride + channels;
            assert!(
                least <= self.data.len(),
                "{name} has {} numbers; [{n}, {length}, {channels}] with strides {sample_stride} \
                 and {row_stride} needs {least}",
                self.data.len()
            );
        }
    }

    /// Returns the tokens of a head.
    fn head(&self, shape: &Shape, length: usize, sample: usize, head: usize) -> Matrix<'a> {
        let start = sample * self.sample_stride + head * shape.d;
        let data = if length == 0 { &[] } else { &self.data[start..] };
        Matrix { data, rows: length, cols: shape.d, row_stride: self.row_stride, col_stride: 1 }
    }
}

/// The tensors that attention reads.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The queries, `[n, lq, heads · d]`.
    pub q: Sequence<'a>,
    /// The keys, `[n, lk, heads · d]`.
    pub k: Sequence<'a>,
    /// The values, `[n, lk, heads · d]`.
    pub v: Sequence<'a>,
    /// What is added to the scores, `[1, lq, lk]` or `[n, lq, lk]`, contiguous; −∞ masks out.
    pub mask: Option<&'a [f32]>,
}

impl<'a> Inputs<'a> {
    fn check(&self, shape: &Shape) {
        let &Shape { n, lq, lk, .. } = shape;
        self.q.check("q", n, lq, shape.channels());
        self.k.check("k", n, lk, shape.channels());
        self.v.check("v", n, lk, shape.channels());
        if let Some(mask) = self.mask {
            let (one, all) = (lq * lk, n * lq * lk);
            let len = mask.len();
            assert!(len == one || len == all, "the mask has {len} numbers, not {one} or {all}");
        }
    }

    /// Returns what makes the scores of a head.
    fn scores(&self, shape: &Shape, sample: usize, head: usize) -> Scores<'a> {
        let &Shape { lq, lk, scale, causal, .. } = shape;
        let len = lq * lk;
        let mask = |mask: &'a [f32]| {
            if mask.len() == len { mask } else { &mask[sample * len..][..len] }
        };
        let k = self.k.head(shape, lk, sample, head);
        Scores { k, scale, causal, mask: self.mask.map(mask) }
    }
}

/// Checks the length of a contiguous tensor.
fn check_len(name: &str, data: &[f32], shape: [usize; 3]) {
    let len: usize = shape.iter().product();
    assert_eq!(data.len(), len, "{name}: found {} numbers, {shape:?} has {len}", data.len());
}
