//! The backward pass.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::panel::{Panel, Store, multiply, rows};
use super::scores::{Rows, Scores};
use super::{BLOCK, Inputs, SERIAL, Shape, check_len};
use crate::buffer::scratch;
use crate::gemm::{Matrix, Out};
use crate::math::exp;
use crate::simd::{dispatch, lanes};

/// What [`forward`](super::forward) has written, and the gradient of its output.
#[derive(Clone, Copy, Debug)]
pub struct Results<'a> {
    /// The output, `[n, lq, heads · d]`.
    pub out: &'a [f32],
    /// The logarithms of the denominators, `[n, heads, lq]`.
    pub lse: &'a [f32],
    /// The gradient of the output, `[n, lq, heads · d]`.
    pub dout: &'a [f32],
}

/// The memory for the gradients, contiguous; what is in it is overwritten.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// That of the queries, `[n, lq, heads · d]`.
    pub dq: &'a mut [f32],
    /// That of the keys, `[n, lk, heads · d]`.
    pub dk: &'a mut [f32],
    /// That of the values, `[n, lk, heads · d]`.
    pub dv: &'a mut [f32],
}

/// Writes the gradients of attention.
///
/// The weights P are made again, block by block (Dao et al., arXiv 2205.14135, algorithm 4). With
/// the sums D = Σ dout ∘ out over the channels of a head, dP = dout vᵀ and dS = scale P ∘ (dP − D):
/// dq = dS k, dk = dSᵀ q, dv = Pᵀ dout. One pass has the queries side by side and makes dq, another
/// the keys and makes dk and dv, so that one thread sums each number, in a fixed order.
///
/// # Panics
///
/// Panics if a tensor is shorter than the shape and its strides need, or the mask or a contiguous
/// tensor has another length.
pub fn backward(
    shape: &Shape,
    inputs: &Inputs<'_>,
    results: &Results<'_>,
    gradients: Gradients<'_>,
) {
    let &Shape { n, lq, lk, heads, d, .. } = shape;
    let Gradients { dq, dk, dv } = gradients;
    inputs.check(shape);
    let channels = shape.channels();
    check_len("out", results.out, [n, lq, channels]);
    check_len("lse", results.lse, [n, heads, lq]);
    check_len("dout", results.dout, [n, lq, channels]);
    check_len("dq", dq, [n, lq, channels]);
    check_len("dk", dk, [n, lk, channels]);
    check_len("dv", dv, [n, lk, channels]);
    if n * heads == 0 {
        return;
    }
    let dout = super::Sequence::contiguous(results.dout, lq, channels);
    let (dq, dk, dv) = (Out::new(dq, channels), Out::new(dk, channels), Out::new(dv, channels));
    let width = 2 * lanes();
    scratch(n * heads * 2 * lq, |statistics| {
        let statistics = statistics.split_at_mut(n * heads * lq);
        write_statistics(shape, results, statistics.0, statistics.1);
        let task = |rows: Rows, share: usize, i: usize| {
            let (length, rows_length) = if rows == Rows::Keys { (lq, lk) } else { (lk, lq) };
            let parts = length.div_ceil(share);
            let (sample, head, part) = (i / parts / heads, i / parts % heads, i % parts);
            let q = inputs.q.head(shape, lq, sample, head);
            let k = inputs.k.head(shape, lk, sample, head);
            let v = inputs.v.head(shape, lk, sample, head);
            let dout = dout.head(shape, lq, sample, head);
            let ((tokens, others), packed, outs) = match rows {
                Rows::Keys => ((k, v), (q, dout), [dq, dq]),
                Rows::Queries => ((q, dout), (k, v), [dk, dv]),
            };
            let head_statistics = (sample * heads + head) * lq..;
            dispatch(Task {
                scores: Scores {
                    tokens,
                    rows,
                    scale: shape.scale,
                    causal: shape.causal,
                    mask: inputs.mask(shape, sample),
                    lk,
                },
                rows_length,
                others,
                packed,
                lse: &statistics.0[head_statistics.clone()][..lq],
                sums: &statistics.1[head_statistics][..lq],
                panels: part * share..length.min((part + 1) * share),
                outs,
                out_at: (sample * length, head * d),
            });
        };
        for (rows, length, packed) in [(Rows::Keys, lq, 3 * d), (Rows::Queries, lk, 4 * d)] {
            let share = shape.panels(length, packed) * width;
            let tasks = n * heads * length.div_ceil(share);
            if tasks <= 1 || shape.work() < SERIAL {
                (0..tasks).for_each(|i| task(rows, share, i));
            } else {
                (0..tasks).into_par_iter().for_each(|i| task(rows, share, i));
            }
        }
    });
}

/// Writes the logarithms, 0 where all is masked out, and the sums D, both `[n, heads, lq]`.
fn write_statistics(shape: &Shape, results: &Results<'_>, lse: &mut [f32], sums: &mut [f32]) {
    let &Shape { lq, heads, d, .. } = shape;
    for (to, &lse) in lse.iter_mut().zip(results.lse) {
        *to = if lse == f32::NEG_INFINITY { 0.0 } else { lse };
    }
    let head = |(i, sums): (usize, &mut [f32])| {
        let (sample, head) = (i / heads, i % heads);
        for (i, sum) in sums.iter_mut().enumerate() {
            let at = (sample * lq + i) * shape.channels() + head * d;
            *sum = dot(&results.out[at..][..d], &results.dout[at..][..d]);
        }
    };
    if lq == 0 {
    } else if shape.work() < SERIAL {
        sums.chunks_exact_mut(lq).enumerate().for_each(head);
    } else {
        sums.par_chunks_exact_mut(lq).enumerate().for_each(head);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    sums.into_iter().chain(rest).sum()
}

/// The gradients of some tokens of a head: of queries, with keys as rows of the blocks, or of keys.
struct Task<'a> {
    /// The scores of the rows: of k, or of q.
    scores: Scores<'a>,
    rows_length: usize,
    /// What makes dP with the other packed tokens: v, or dout.
    others: Matrix<'a>,
    /// What is packed in panels: q and dout, or k and v.
    packed: (Matrix<'a>, Matrix<'a>),
    /// The logarithm of the denominator of each query.
    lse: &'a [f32],
    /// D of each query.
    sums: &'a [f32],
    panels: Range<usize>,
    /// dq (twice), or dk and dv.
    outs: [Out<'a>; 2],
    /// The row of the first token of the sample, and the column of the head.
    out_at: (usize, usize),
}

impl WithSimd for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let d = self.others.cols;
        let full = 2 * S::F32_LANES;
        let state_len = (4 * d + 3) * full;
        let panels = self.panels.len().div_ceil(full);
        let block = BLOCK.min(self.rows_length) * full;
        scratch(panels * state_len + 2 * block, |memory| {
            let (states, blocks) = memory.split_at_mut(panels * state_len);
            let blocks = blocks.split_at_mut(block);
            let panels = || {
                let firsts = self.panels.clone().step_by(full);
                firsts.map(|first| Panel::new(first, self.panels.end, S::F32_LANES))
            };
            for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                self.start(&panel, State::new(memory, panel.width, d));
            }
            for first in (0..self.rows_length).step_by(BLOCK) {
                let block = first..self.rows_length.min(first + BLOCK);
                for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                    if self.scores.masked(&block, &panel) {
                        continue;
                    }
                    let state = State::new(memory, panel.width, d);
                    let len = block.len() * panel.width;
                    let weights = (&mut blocks.0[..len], &mut blocks.1[..len]);
                    if panel.width == full {
                        self.meet::<S, 2>(simd, block.clone(), &panel, state, weights);
                    } else {
                        self.meet::<S, 1>(simd, block.clone(), &panel, state, weights);
                    }
                }
            }
            for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                let state = State::new(memory, panel.width, d);
                let (row, col) = self.out_at;
                // SAFETY: tasks have different tokens or heads; `backward` checks the lengths.
                unsafe {
                    panel.unpack(state.gradients.0, self.outs[0], row, col);
                    if self.scores.rows == Rows::Queries {
                        panel.unpack(state.gradients.1, self.outs[1], row, col);
                    }
                }
            }
        });
    }
}

impl Task<'_> {
    #[inline(always)]
    fn start(&self, panel: &Panel, state: State<'_>) {
        panel.pack(self.packed.0, state.packed.0);
        panel.pack(self.packed.1, state.packed.1);
        state.gradients.0.fill(0.0);
        state.gradients.1.fill(0.0);
        state.ones.fill(1.0);
        if self.scores.rows == Rows::Keys {
            let tokens = panel.first..panel.first + panel.len;
            state.lse[..panel.len].copy_from_slice(&self.lse[tokens.clone()]);
            state.lse[panel.len..].fill(0.0);
            state.sums[..panel.len].copy_from_slice(&self.sums[tokens]);
            state.sums[panel.len..].fill(0.0);
        }
    }

    /// Adds what a block of rows gives to the gradients of a panel.
    #[inline(always)]
    fn meet<S: Simd, const V: usize>(
        &self,
        simd: S,
        block: Range<usize>,
        panel: &Panel,
        state: State<'_>,
        (p, ds): (&mut [f32], &mut [f32]),
    ) {
        let Scores { tokens, rows: kind, scale, .. } = self.scores;
        self.scores.make::<S, V>(simd, block.clone(), panel, state.packed.0, p);
        let others = rows(self.others, block.clone());
        multiply::<S, V>(simd, others, state.packed.1, ds, Store::Scaled(1.0));
        let statistics = match kind {
            Rows::Keys => Statistics::Lanes(state.lse, state.sums),
            Rows::Queries => Statistics::Rows(&self.lse[block.clone()], &self.sums[block.clone()]),
        };
        simd.vectorize(Weights::<V> { p, ds, statistics, scale });
        let add = Store::Add(state.ones);
        let tokens = rows(tokens, block).transposed();
        multiply::<S, V>(simd, tokens, ds, state.gradients.0, add);
        if kind == Rows::Queries {
            multiply::<S, V>(simd, others.transposed(), p, state.gradients.1, add);
        }
    }
}

/// A panel of tokens and their gradients so far.
struct State<'a> {
    /// The packed tokens, `[d, width]` each.
    packed: (&'a mut [f32], &'a mut [f32]),
    /// The packed gradients, `[d, width]` each.
    gradients: (&'a mut [f32], &'a mut [f32]),
    /// The logarithms of queries.
    lse: &'a mut [f32],
    /// D of queries.
    sums: &'a mut [f32],
    ones: &'a mut [f32],
}

impl<'a> State<'a> {
    #[inline(always)]
    fn new(memory: &'a mut [f32], width: usize, d: usize) -> Self {
        let (a, memory) = memory.split_at_mut(d * width);
        let (b, memory) = memory.split_at_mut(d * width);
        let (da, memory) = memory.split_at_mut(d * width);
        let (db, memory) = memory.split_at_mut(d * width);
        let (lse, memory) = memory.split_at_mut(width);
        let (sums, memory) = memory.split_at_mut(width);
        Self { packed: (a, b), gradients: (da, db), lse, sums, ones: &mut memory[..width] }
    }
}

/// The logarithms and D, of the queries that are rows, or in the lanes.
enum Statistics<'a> {
    Rows(&'a [f32], &'a [f32]),
    Lanes(&'a [f32], &'a [f32]),
}

/// Makes P of the scores and dS of dP.
struct Weights<'a, const V: usize> {
    p: &'a mut [f32],
    ds: &'a mut [f32],
    statistics: Statistics<'a>,
    scale: f32,
}

impl<const V: usize> WithSimd for Weights<'_, V> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let p = S::as_mut_simd_f32s(self.p).0.as_chunks_mut::<V>().0;
        let ds = S::as_mut_simd_f32s(self.ds).0.as_chunks_mut::<V>().0;
        let scale = simd.splat_f32s(self.scale);
        let make = |p: &mut S::f32s, ds: &mut S::f32s, lse, sum| {
            *p = exp(simd, simd.sub_f32s(*p, lse));
            *ds = simd.mul_f32s(simd.mul_f32s(*p, scale), simd.sub_f32s(*ds, sum));
        };
        match self.statistics {
            Statistics::Lanes(lse, sums) => {
                let (lse, sums) = (S::as_simd_f32s(lse).0, S::as_simd_f32s(sums).0);
                for (p, ds) in p.iter_mut().zip(ds) {
                    for (((p, ds), lse), sum) in p.iter_mut().zip(ds).zip(lse).zip(sums) {
                        make(p, ds, *lse, *sum);
                    }
                }
            }
            Statistics::Rows(lse, sums) => {
                for (((p, ds), lse), sum) in p.iter_mut().zip(ds).zip(lse).zip(sums) {
                    let (lse, sum) = (simd.splat_f32s(*lse), simd.splat_f32s(*sum));
                    for (p, ds) in p.iter_mut().zip(ds) {
                        make(p, ds, lse, sum);
                    }
                }
            }
        }
    }
}
