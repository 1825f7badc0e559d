//! Linear combinations of tensors, in one pass over the memory.

use pulp::{Simd, WithSimd};

use crate::chunks::{CHUNK, for_each};
use crate::simd::{dispatch, load, store};

/// Writes `out = Σ wᵢ xᵢ` over the pairs of a weight and a tensor, added in their order; 0 without
/// any.
///
/// # Panics
///
/// Panics if a tensor has another length than `out`.
///
/// # Example
///
/// ```
/// let mut out = [0.0; 2];
/// ddm_kernels::linear_combination::write(&[(2.0, &[1.0, 2.0]), (-1.0, &[0.5, 0.0])], &mut out);
/// assert_eq!(out, [1.5, 4.0]);
/// ```
pub fn write(terms: &[(f32, &[f32])], out: &mut [f32]) {
    run(None, terms, out);
}

/// Writes `out = weight out + Σ wᵢ xᵢ`, the same numbers as [`write()`] with `out` as the first
/// tensor.
///
/// # Panics
///
/// Panics if a tensor has another length than `out`.
pub fn update(weight: f32, out: &mut [f32], terms: &[(f32, &[f32])]) {
    run(Some(weight), terms, out);
}

fn run(weight: Option<f32>, terms: &[(f32, &[f32])], out: &mut [f32]) {
    for (i, (_, x)) in terms.iter().enumerate() {
        assert_eq!(x.len(), out.len(), "numbers of tensor {i} and of the linear combination");
    }
    let work = out.len() * terms.len().max(1);
    for_each(out, CHUNK, work, |i, out| dispatch(Op { weight, terms, from: i * CHUNK, out }));
}

struct Op<'a> {
    weight: Option<f32>,
    terms: &'a [(f32, &'a [f32])],
    /// Where the chunk begins in the tensors.
    from: usize,
    out: &'a mut [f32],
}

impl WithSimd for Op<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (lanes, size) = (S::F32_LANES, self.out.len());
        let mut at = 0;
        // Several vectors of a tensor at a time make up for going from tensor to tensor.
        while at + 8 * lanes <= size {
            self.block::<S, 8>(simd, at, lanes);
            at += 8 * lanes;
        }
        while at < size {
            self.block::<S, 1>(simd, at, lanes.min(size - at));
            at += lanes;
        }
    }
}

impl Op<'_> {
    /// Makes V vectors of `len` numbers.
    #[inline(always)]
    fn block<S: Simd, const V: usize>(&mut self, simd: S, at: usize, len: usize) {
        let mut sums = [simd.splat_f32s(0.0); V];
        let mut terms = self.terms.iter();
        // The first product is not added to 0, which would turn -0 into 0.
        let (weight, first, from) = match (self.weight, self.terms.first()) {
            (Some(weight), _) => (weight, &*self.out, at),
            (None, Some(&(weight, x))) => {
                terms.next();
                (weight, x, self.from + at)
            }
            (None, None) => return self.out[at..][..V * len].fill(0.0),
        };
        let weight = simd.splat_f32s(weight);
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = simd.mul_f32s(weight, load(simd, first, from + v * len, len));
        }
        for &(weight, x) in terms {
            let (weight, x) = (simd.splat_f32s(weight), &x[self.from + at..][..V * len]);
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = simd.mul_add_e_f32s(weight, load(simd, x, v * len, len), *sum);
            }
        }
        for (v, sum) in sums.into_iter().enumerate() {
            store(simd, self.out, at + v * len, len, sum);
        }
    }
}
