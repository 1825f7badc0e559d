//! The tensors of an attention.

use super::Shape;
use super::scores::Scores;
use crate::gemm::Matrix;

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
    pub(super) fn head(
        &self,
        shape: &Shape,
        length: usize,
        sample: usize,
        head: usize,
    ) -> Matrix<'a> {
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
    pub(super) fn check(&self, shape: &Shape) {
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
    pub(super) fn scores(&self, shape: &Shape, sample: usize, head: usize) -> Scores<'a> {
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
pub(super) fn check_len(name: &str, data: &[f32], shape: [usize; 3]) {
    let len: usize = shape.iter().product();
    assert_eq!(data.len(), len, "{name}: found {} numbers, {shape:?} has {len}", data.len());
}
