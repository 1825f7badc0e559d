//! The backward pass.

mod chunk;
mod statistics;
mod weights;

use rayon::prelude::*;

use super::{Inputs, SERIAL, Sequence, Shape, check_len};
use crate::buffer::scratch;
use crate::gemm::Out;
use crate::simd::dispatch;
use chunk::Chunk;
use statistics::write_statistics;

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
/// ```
/// use ddm_kernels::attention::{Gradients, Inputs, Results, Sequence, Shape, backward, forward};
///
/// // One sample, one query, two keys, one head of one channel: weights 1/2.
/// let shape = Shape::new(1, 1, 2, 1, 1);
/// let q = Sequence::contiguous(&[1.0], 1, 1);
/// let k = Sequence::contiguous(&[0.0, 0.0], 2, 1);
/// let v = Sequence::contiguous(&[0.0, 1.0], 2, 1);
/// let inputs = Inputs { q, k, v, mask: None };
/// let (mut out, mut lse) = ([0.0], [0.0]);
/// forward(&shape, &inputs, &mut out, Some(&mut lse));
///
/// let (mut dq, mut dk, mut dv) = ([0.0], [0.0; 2], [0.0; 2]);
/// let results = Results { out: &out, lse: &lse, dout: &[1.0] };
/// let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
/// backward(&shape, &inputs, &results, gradients);
/// assert!((dv[0] - 0.5).abs() < 1e-6 && (dk[1] - 0.25).abs() < 1e-6);
/// ```
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
            dispatch(Chunk {
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
