//! The forward pass.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::panel::Panel;
use super::product::{Store, multiply};
use super::scores::Scores;
use super::softmax::{Softmax, State};
use super::{BLOCK, Inputs, SERIAL, Shape, check_len};
use crate::buffer::scratch;
use crate::gemm::{Matrix, Out};
use crate::simd::{dispatch, lanes};

/// Writes `out = softmax(q kᵀ · scale + mask) v`, `[n, lq, heads · d]`, and perhaps the logarithm of
/// each softmax's denominator, `[n, heads, lq]`, which [`backward`](super::backward) needs.
///
/// A query that sees no key gives zeros, with logarithm −∞.
///
/// ```
/// use ddm_kernels::attention::{Inputs, Sequence, Shape, forward};
///
/// // One sample, one query, two keys, one head of one channel.
/// let shape = Shape::new(1, 1, 2, 1, 1);
/// let q = Sequence::contiguous(&[1.0], 1, 1);
/// let k = [0.0, 3f32.ln()];
/// let k = Sequence::contiguous(&k, 2, 1);
/// let v = Sequence::contiguous(&[0.0, 1.0], 2, 1);
/// let mut out = [0.0];
/// forward(&shape, &Inputs { q, k, v, mask: None }, &mut out, None);
/// assert!((out[0] - 0.75).abs() < 1e-6);
/// ```
///
/// # Panics
///
/// Panics if a tensor is shorter than the shape and its strides need, or `out`, the mask or the
/// logarithms have another length.
pub fn forward(shape: &Shape, inputs: &Inputs<'_>, out: &mut [f32], lse: Option<&mut [f32]>) {
    let &Shape { n, lq, lk, heads, d, .. } = shape;
    inputs.check(shape);
    check_len("out", out, [n, lq, shape.channels()]);
    if let Some(lse) = &lse {
        check_len("lse", lse, [n, heads, lq]);
    }
    if n * lq * heads == 0 {
        return;
    }
    let out = Out::new(out, shape.channels());
    let lse = lse.map(|lse| Out::new(lse, lq));
    let share = shape.panels() * 2 * lanes();
    let parts = lq.div_ceil(share);
    let task = |i: usize| {
        let (sample, head, part) = (i / parts / heads, i / parts % heads, i % parts);
        let task = Task {
            scores: inputs.scores(shape, sample, head),
            q: inputs.q.head(shape, lq, sample, head),
            v: inputs.v.head(shape, lk, sample, head),
            queries: part * share..lq.min((part + 1) * share),
            out,
            out_at: (sample * lq, head * d),
            lse: lse.map(|lse| (lse, sample * heads + head)),
        };
        dispatch(task);
    };
    let tasks = n * heads * parts;
    if tasks == 1 || shape.work() < SERIAL {
        (0..tasks).for_each(task);
    } else {
        (0..tasks).into_par_iter().for_each(task);
    }
}

/// Some queries of a head.
struct Task<'a> {
    scores: Scores<'a>,
    q: Matrix<'a>,
    v: Matrix<'a>,
    queries: Range<usize>,
    out: Out<'a>,
    /// The row of the first query of the sample, and the column of the head.
    out_at: (usize, usize),
    /// The logarithms, and the row of the head.
    lse: Option<(Out<'a>, usize)>,
}

impl WithSimd for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (lk, d) = (self.v.rows, self.q.cols);
        let full = 2 * S::F32_LANES;
        let state_len = (2 * d + 3) * full;
        let panels = self.queries.len().div_ceil(full);
        scratch(panels * state_len + BLOCK.min(lk) * full, |memory| {
            let (states, weights) = memory.split_at_mut(panels * state_len);
            let panels = || {
                let firsts = self.queries.clone().step_by(full);
                firsts.map(|first| Panel::new(first, self.queries.end, S::F32_LANES))
            };
            for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                State::new(memory, panel.width, d).start(&panel, self.q);
            }
            for first in (0..lk).step_by(BLOCK) {
                let keys = first..lk.min(first + BLOCK);
                for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                    if self.scores.masked(&keys, &panel) {
                        continue;
                    }
                    let state = State::new(memory, panel.width, d);
                    if panel.width == full {
                        self.meet::<S, 2>(simd, keys.clone(), &panel, state, weights);
                    } else {
                        self.meet::<S, 1>(simd, keys.clone(), &panel, state, weights);
                    }
                }
            }
            for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                let state = State::new(memory, panel.width, d);
                // SAFETY: tasks have different queries or heads.
                unsafe { self.finish(&panel, state) };
            }
        });
    }
}

impl Task<'_> {
    /// Adds a block of keys to a panel of queries.
    #[inline(always)]
    fn meet<S: Simd, const V: usize>(
        &self,
        simd: S,
        keys: Range<usize>,
        panel: &Panel,
        state: State<'_>,
        weights: &mut [f32],
    ) {
        let weights = &mut weights[..keys.len() * panel.width];
        self.scores.make::<S, V>(simd, keys.clone(), panel, state.q, weights);
        simd.vectorize(Softmax::<V> {
            weights,
            max: state.max,
            sum: state.sum,
            factor: state.factor,
        });
        let v = self.v.rows(keys).transposed();
        multiply::<S, V>(simd, v, weights, state.out, Store::ScaledSum(state.factor));
    }

    /// Divides by the sums and writes the result.
    ///
    /// # Safety
    ///
    /// Nothing else uses the rows of these queries.
    #[inline(always)]
    unsafe fn finish(&self, panel: &Panel, state: State<'_>) {
        let State { out, max, sum, factor, .. } = state;
        for (factor, sum) in factor.iter_mut().zip(&*sum) {
            // The sum is at least 1, the weight of the maximum, unless all is masked.
            *factor = if *sum == 0.0 { 0.0 } else { 1.0 / sum };
        }
        for out in out.chunks_exact_mut(panel.width) {
            out.iter_mut().zip(&*factor).for_each(|(out, factor)| *out *= factor);
        }
        let (row, col) = self.out_at;
        // SAFETY: the caller's promise; `forward` checks the length.
        unsafe { panel.unpack(out, self.out, row, col) };
        if let Some((lse, row)) = self.lse {
            // SAFETY: as above.
            let lse = unsafe { lse.row(row, panel.first, panel.len) };
            for ((lse, max), sum) in lse.iter_mut().zip(max).zip(sum) {
                *lse = *max + sum.ln();
            }
        }
    }
}
