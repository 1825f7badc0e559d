//! The backward pass.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::panel::{Panel, Store, multiply, rows};
use super::scores::Scores;
use super::{BLOCK, Inputs, SERIAL, Sequence, Shape, check_len};
use crate::buffer::scratch;
use crate::gemm::{Matrix, Out};
use crate::math::exp;
use crate::simd::dispatch;

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
/// dq = dS k, dk = dSᵀ q, dv = Pᵀ dout.
///
/// The sums over the queries are made in chunks, whose number depends on their number only, and
/// these are added in order: by one thread, or by several in memory for each chunk.
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
    if n * lq * channels == 0 {
        dk.fill(0.0);
        dv.fill(0.0);
        return;
    }
    let chunk = lq.div_ceil(CHUNKS).max(CHUNK).next_multiple_of(CHUNK_MULTIPLE);
    let chunks = lq.div_ceil(chunk);
    let dout = Sequence::contiguous(results.dout, lq, channels);
    let out = Out::new(dq, channels);
    scratch(2 * n * heads * lq, |statistics| {
        let (lse, sums) = statistics.split_at_mut(n * heads * lq);
        write_statistics(shape, results, lse, sums);
        let task = |i: usize, part: usize, outs: [Out<'_>; 2], add: bool| {
            let (sample, head) = (i / heads, i % heads);
            dispatch(Task {
                scores: inputs.scores(shape, sample, head),
                v: inputs.v.head(shape, lk, sample, head),
                q: inputs.q.head(shape, lq, sample, head),
                dout: dout.head(shape, lq, sample, head),
                lse: &lse[i * lq..][..lq],
                sums: &sums[i * lq..][..lq],
                queries: part * chunk..lq.min((part + 1) * chunk),
                dq: out,
                dk: outs[0],
                dv: outs[1],
                first_rows: (sample * lq, sample * lk),
                col: head * d,
                add,
            });
        };
        let tasks = n * heads;
        let threads = rayon::current_num_threads();
        if shape.work() < SERIAL || threads == 1 || chunks == 1 || tasks >= 4 * threads {
            let outs = [Out::new(dk, channels), Out::new(dv, channels)];
            let all = |i: usize| (0..chunks).for_each(|part| task(i, part, outs, part > 0));
            if shape.work() < SERIAL || tasks == 1 {
                (0..tasks).for_each(all);
            } else {
                (0..tasks).into_par_iter().for_each(all);
            }
            return;
        }
        // The first chunk has its sums where they belong, each other in memory of its own.
        let len = dk.len();
        scratch(2 * (chunks - 1) * len, |memory| {
            {
                let mut outs = vec![[Out::new(dk, channels), Out::new(dv, channels)]];
                outs.extend(memory.chunks_exact_mut(2 * len.max(1)).map(|memory| {
                    let (dk, dv) = memory.split_at_mut(len);
                    [Out::new(dk, channels), Out::new(dv, channels)]
                }));
                let each = |i: usize| task(i % tasks, i / tasks, outs[i / tasks], false);
                (0..tasks * chunks).into_par_iter().for_each(each);
            }
            let memory = &*memory;
            for (sums, first) in [(dk, 0), (dv, len)] {
                sums.par_chunks_mut(ADDED).enumerate().for_each(|(i, sums)| {
                    for part in 0..chunks - 1 {
                        let more = &memory[2 * part * len + first + i * ADDED..];
                        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
                    }
                });
            }
        });
    });
}

/// The greatest number of chunks of queries: each needs memory for dk and dv.
const CHUNKS: usize = 8;
/// The least number of queries of a chunk,
const CHUNK: usize = 128;
/// and what divides it, so that panels are full.
const CHUNK_MULTIPLE: usize = 64;
/// The length of the sums that a task adds.
const ADDED: usize = 4096;

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
    if shape.work() < SERIAL {
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

/// A chunk of the queries of a head.
struct Task<'a> {
    scores: Scores<'a>,
    v: Matrix<'a>,
    q: Matrix<'a>,
    dout: Matrix<'a>,
    /// The logarithm of the denominator of each query of the head.
    lse: &'a [f32],
    /// D of each query of the head.
    sums: &'a [f32],
    queries: Range<usize>,
    dq: Out<'a>,
    dk: Out<'a>,
    dv: Out<'a>,
    /// The rows of the first query and the first key of the sample.
    first_rows: (usize, usize),
    /// The column of the head.
    col: usize,
    /// Whether dk and dv are added to what is there.
    add: bool,
}

impl WithSimd for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (lk, d) = (self.v.rows, self.v.cols);
        let full = 2 * S::F32_LANES;
        let columns = d.next_multiple_of(S::F32_LANES);
        let state_len = (3 * d + 2 * columns + 2) * full;
        let panels = self.queries.len().div_ceil(full);
        let block = BLOCK.min(lk);
        scratch(panels * state_len + 2 * block * (full + columns), |memory| {
            let (states, memory) = memory.split_at_mut(panels * state_len);
            let (p, memory) = memory.split_at_mut(block * full);
            let (ds, memory) = memory.split_at_mut(block * full);
            let (dk, dv) = memory.split_at_mut(block * columns);
            let panels = || {
                let firsts = self.queries.clone().step_by(full);
                firsts.map(|first| Panel::new(first, self.queries.end, S::F32_LANES))
            };
            for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                self.start(&panel, State::new(memory, panel.width, d, columns), S::F32_LANES);
            }
            for first in (0..lk).step_by(BLOCK) {
                let keys = first..lk.min(first + BLOCK);
                dk.fill(0.0);
                dv.fill(0.0);
                for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                    if self.scores.masked(&keys, &panel) {
                        continue;
                    }
                    let state = State::new(memory, panel.width, d, columns);
                    let len = keys.len() * panel.width;
                    let block =
                        Block { p: &mut p[..len], ds: &mut ds[..len], dk: &mut *dk, dv: &mut *dv };
                    if panel.width == full {
                        self.meet::<S, 2>(simd, keys.clone(), &panel, state, block);
                    } else {
                        self.meet::<S, 1>(simd, keys.clone(), &panel, state, block);
                    }
                }
                // SAFETY: tasks have different heads or memory; `backward` checks the lengths.
                unsafe {
                    self.write(&keys, dk, self.dk, S::F32_LANES);
                    self.write(&keys, dv, self.dv, S::F32_LANES);
                }
            }
            for (panel, memory) in panels().zip(states.chunks_exact_mut(state_len)) {
                let state = State::new(memory, panel.width, d, columns);
                // SAFETY: tasks have different queries or heads; `backward` checks the lengths.
                unsafe { panel.unpack(state.dq, self.dq, self.first_rows.0, self.col) };
            }
        });
    }
}

impl Task<'_> {
    #[inline(always)]
    fn start(&self, panel: &Panel, state: State<'_>, lanes: usize) {
        panel.pack(self.q, state.q);
        panel.pack(self.dout, state.dout);
        let tokens = panel.first..panel.first + panel.len;
        pack_channels(rows(self.q, tokens.clone()), state.q_channels, lanes);
        pack_channels(rows(self.dout, tokens.clone()), state.dout_channels, lanes);
        state.dq.fill(0.0);
        for (to, from) in [(state.lse, self.lse), (state.sums, self.sums)] {
            to[..panel.len].copy_from_slice(&from[tokens.clone()]);
            to[panel.len..].fill(0.0);
        }
    }

    /// Adds what a block of keys and a panel of queries give to the gradients of both.
    #[inline(always)]
    fn meet<S: Simd, const V: usize>(
        &self,
        simd: S,
        keys: Range<usize>,
        panel: &Panel,
        state: State<'_>,
        Block { p, ds, dk, dv }: Block<'_>,
    ) {
        self.scores.make::<S, V>(simd, keys.clone(), panel, state.q, p);
        let v = rows(self.v, keys.clone());
        multiply::<S, V>(simd, v, state.dout, ds, Store::Scaled(1.0));
        let (lse, sums, scale) = (&*state.lse, &*state.sums, self.scores.scale);
        simd.vectorize(Weights::<V> { p, ds, lse, sums, scale });
        let k = rows(self.scores.k, keys.clone());
        multiply::<S, V>(simd, k.transposed(), ds, state.dq, Store::Sum);
        let products = [(&*ds, &*state.q_channels, dk), (&*p, &*state.dout_channels, dv)];
        for (a, b, out) in products {
            // Not the lanes without a query.
            let a = Matrix {
                data: a,
                rows: keys.len(),
                cols: panel.len,
                row_stride: panel.width,
                col_stride: 1,
            };
            for channels in channel_panels(self.v.cols, S::F32_LANES) {
                let b = &b[channels.first * panel.len..];
                let out = &mut out[channels.first * keys.len()..];
                if channels.width == S::F32_LANES {
                    multiply::<S, 1>(simd, a, b, out, Store::Sum);
                } else {
                    multiply::<S, 2>(simd, a, b, out, Store::Sum);
                }
            }
        }
    }

    /// Writes the gradients of a block of keys, or adds them.
    ///
    /// # Safety
    ///
    /// Nothing else uses the head's columns of the keys' rows.
    #[inline(always)]
    unsafe fn write(&self, keys: &Range<usize>, from: &[f32], out: Out<'_>, lanes: usize) {
        for channels in channel_panels(self.v.cols, lanes) {
            let from = from[channels.first * keys.len()..].chunks_exact(channels.width);
            for (key, from) in keys.clone().zip(from) {
                let (row, col) = (self.first_rows.1 + key, self.col + channels.first);
                // SAFETY: the caller's promise.
                let to = unsafe { out.row(row, col, channels.len) };
                if self.add {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                } else {
                    to.copy_from_slice(&from[..channels.len]);
                }
            }
        }
    }
}

/// Returns the channels of a head as panels.
fn channel_panels(d: usize, lanes: usize) -> impl Iterator<Item = Panel> {
    (0..d).step_by(2 * lanes).map(move |first| Panel::new(first, d, lanes))
}

/// Packs tokens with their channels side by side: panel after panel, each token by token.
#[inline(always)]
fn pack_channels(tokens: Matrix<'_>, to: &mut [f32], lanes: usize) {
    for Panel { first, len, width } in channel_panels(tokens.cols, lanes) {
        let to = to[first * tokens.rows..].chunks_exact_mut(width).take(tokens.rows);
        for (i, to) in to.enumerate() {
            to[..len].copy_from_slice(&tokens.data[i * tokens.row_stride + first..][..len]);
            to[len..].fill(0.0);
        }
    }
}

/// A panel of queries, and their gradients so far.
struct State<'a> {
    /// The packed queries, and the gradients of their outputs, `[d, width]`.
    q: &'a mut [f32],
    dout: &'a mut [f32],
    /// The gradients of the queries so far, `[d, width]`.
    dq: &'a mut [f32],
    /// The same with the channels side by side.
    q_channels: &'a mut [f32],
    dout_channels: &'a mut [f32],
    lse: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<'a> State<'a> {
    #[inline(always)]
    fn new(memory: &'a mut [f32], width: usize, d: usize, columns: usize) -> Self {
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
struct Block<'a> {
    /// P, a row for each key.
    p: &'a mut [f32],
    /// dS, a row for each key.
    ds: &'a mut [f32],
    /// The gradients so far, in panels of channels.
    dk: &'a mut [f32],
    dv: &'a mut [f32],
}

/// Makes P of the scores and dS of dP.
struct Weights<'a, const V: usize> {
    p: &'a mut [f32],
    ds: &'a mut [f32],
    lse: &'a [f32],
    sums: &'a [f32],
    scale: f32,
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
