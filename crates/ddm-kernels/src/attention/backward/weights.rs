//! The memory of a panel and of a block, and the weights P and their gradients.

use pulp::{Simd, WithSimd};

use crate::math::exp;

/// A panel of queries, and their gradients so far.
pub(super) struct State<'a> {
    /// The packed queries, and the gradients of their outputs, `[d, width]`.
    pub(super) q: &'a mut [f32],
    pub(super) dout: &'a mut [f32],
    /// The gradients of the queries so far, `[d, width]`.
    pub(super) dq: &'a mut [f32],
    /// The same with the channels side by side.
    pub(super) q_channels: &'a mut [f32],
    pub(super) dout_channels: &'a mut [f32],
    pub(super) lse: &'a mut [f32],
    pub(super) sums: &'a mut [f32],
}

impl<'a> State<'a> {
    #[inline(always)]
    pub(super) fn new(memory: &'a mut [f32], width: usize, d: usize, columns: usize) -> Self {
        let (q, memory) = memory.split_at_mut(d * width);
        let (dout, memory) = memory.split_at_mut(d * width);
        let (dq, memory) = memory.split_at_mut(d * width);
        let (q_channels, memory) = memory.split_at_mut(columns * width);
        let (dout_channels, memory) = memory.split_at_mut(columns * width);
        let (lse, memory) = memory.split_at_mut(width);
        Self { q, dout, dq, q_channels, dout_channels, lse, sums: &mut memory[..width] }
    }
}

/// The memory of a block of keys.
pub(super) struct Block<'a> {
    /// P, a row for each key.
    pub(super) p: &'a mut [f32],
    /// dS, a row for each key.
    pub(super) ds: &'a mut [f32],
    /// The gradients so far, in panels of channels.
    pub(super) dk: &'a mut [f32],
    pub(super) dv: &'a mut [f32],
}

/// Makes P of the scores and dS of dP.
pub(super) struct Weights<'a, const V: usize> {
    pub(super) p: &'a mut [f32],
    pub(super) ds: &'a mut [f32],
    pub(super) lse: &'a [f32],
    pub(super) sums: &'a [f32],
    pub(super) scale: f32,
}

impl<const V: usize> WithSimd for Weights<'_, V> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let p = S::as_mut_simd_f32s(self.p).0.as_chunks_mut::<V>().0;
        let ds = S::as_mut_simd_f32s(self.ds).0.as_chunks_mut::<V>().0;
        let (lse, sums) = (S::as_simd_f32s(self.lse).0, S::as_simd_f32s(self.sums).0);
        let scale = simd.splat_f32s(self.scale);
        for (p, ds) in p.iter_mut().zip(ds) {
            for (((p, ds), lse), sum) in p.iter_mut().zip(ds).zip(lse).zip(sums) {
                *p = exp(simd, simd.sub_f32s(*p, *lse));
                *ds = simd.mul_f32s(simd.mul_f32s(*p, scale), simd.sub_f32s(*ds, *sum));
            }
        }
    }
}
