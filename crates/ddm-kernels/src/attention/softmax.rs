//! The running softmax of a panel of queries.

use pulp::{Simd, WithSimd};

use super::panel::Panel;
use crate::gemm::Matrix;
use crate::math::exp;

/// A panel of queries and what is known of their softmax.
pub(super) struct State<'a> {
    /// The packed queries, `[d, width]`.
    pub(super) q: &'a mut [f32],
    /// The weighted sum of the values so far, `[d, width]`.
    pub(super) out: &'a mut [f32],
    /// The greatest score so far, or the least number.
    pub(super) max: &'a mut [f32],
    /// The sum of the weights so far.
    pub(super) sum: &'a mut [f32],
    /// What the sums are multiplied with when the maximum grows.
    pub(super) factor: &'a mut [f32],
}

impl<'a> State<'a> {
    #[inline(always)]
    pub(super) fn new(memory: &'a mut [f32], width: usize, d: usize) -> Self {
        let (q, memory) = memory.split_at_mut(d * width);
        let (out, memory) = memory.split_at_mut(d * width);
        let (max, memory) = memory.split_at_mut(width);
        let (sum, memory) = memory.split_at_mut(width);
        Self { q, out, max, sum, factor: &mut memory[..width] }
    }

    #[inline(always)]
    pub(super) fn start(self, panel: &Panel, q: Matrix<'_>) {
        panel.pack(q, self.q);
        self.out.fill(0.0);
        // Not −∞: so that score − maximum is a number for masked scores, too.
        self.max.fill(f32::MIN);
        self.sum.fill(0.0);
    }
}

/// Makes weights of scores, relative to the running maximum.
pub(super) struct Softmax<'a, const V: usize> {
    pub(super) weights: &'a mut [f32],
    pub(super) max: &'a mut [f32],
    pub(super) sum: &'a mut [f32],
    pub(super) factor: &'a mut [f32],
}

impl<const V: usize> WithSimd for Softmax<'_, V> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (rows, _) = S::as_mut_simd_f32s(self.weights).0.as_chunks_mut::<V>();
        let vectors = |data| -> &mut [S::f32s; V] {
            S::as_mut_simd_f32s(data).0.first_chunk_mut().expect("a vector for each lane")
        };
        let (max, sum, factor) = (vectors(self.max), vectors(self.sum), vectors(self.factor));
        // Four at a time, since each must wait for the one before.
        let mut greatest = [*max; 4];
        let (fours, rest) = rows.as_chunks::<4>();
        for four in fours {
            for (greatest, row) in greatest.iter_mut().zip(four) {
                *greatest = maximum(simd, *greatest, *row);
            }
        }
        for row in rest {
            greatest[0] = maximum(simd, greatest[0], *row);
        }
        let [a, b, c, d] = greatest;
        let new = maximum(simd, maximum(simd, a, b), maximum(simd, c, d));
        for v in 0..V {
            factor[v] = exp(simd, simd.sub_f32s(max[v], new[v]));
            sum[v] = simd.mul_f32s(sum[v], factor[v]);
        }
        let mut total = *sum;
        for row in rows {
            for v in 0..V {
                row[v] = exp(simd, simd.sub_f32s(row[v], new[v]));
                total[v] = simd.add_f32s(total[v], row[v]);
            }
        }
        (*max, *sum) = (new, total);
    }
}

// Not with closures: those are compiled without the instruction set where they are not inlined.
#[inline(always)]
fn maximum<S: Simd, const V: usize>(simd: S, mut a: [S::f32s; V], b: [S::f32s; V]) -> [S::f32s; V] {
    for v in 0..V {
        a[v] = simd.max_f32s(a[v], b[v]);
    }
    a
}
