//! What the backward pass needs of each query.

use rayon::prelude::*;

use super::{Results, SERIAL, Shape};

/// Writes the logarithms, 0 where all is masked out, and the sums D, both `[n, heads, lq]`.
pub(super) fn write_statistics(
    shape: &Shape,
    results: &Results<'_>,
    lse: &mut [f32],
    sums: &mut [f32],
) {
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
