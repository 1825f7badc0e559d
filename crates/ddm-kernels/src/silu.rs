//! SiLU, `x σ(x)` with the logistic function σ.
//!
//! Source: Elfwing, Uchibe & Doya, *Sigmoid-Weighted Linear Units for Neural Network Function
//! Approximation in Reinforcement Learning* (2017), arXiv 1702.03118.

use pulp::{Simd, WithSimd};

use crate::chunks::{CHUNK, for_each};
use crate::math;
use crate::simd::{dispatch, load, store, vectors};

/// Writes `out = x σ(x)`.
///
/// # Panics
///
/// Panics if the lengths differ.
pub fn forward(x: &[f32], out: &mut [f32]) {
    struct Op<'a>(&'a [f32], &'a mut [f32]);
    impl WithSimd for Op<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(x, out) = self;
            for (at, len) in vectors(simd, out.len()) {
                store(simd, out, at, len, math::silu(simd, load(simd, x, at, len)));
            }
        }
    }
    assert_eq!(x.len(), out.len(), "numbers of x and of its SiLU");
    let work = out.len();
    for_each(out, CHUNK, work, |i, out| dispatch(Op(&x[i * CHUNK..][..out.len()], out)));
}

/// Writes the gradient of x, `dx = dy σ(x) (1 + x (1 - σ(x)))`.
///
/// # Panics
///
/// Panics if the lengths differ.
pub fn backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    struct Op<'a>(&'a [f32], &'a [f32], &'a mut [f32]);
    impl WithSimd for Op<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(x, dy, dx) = self;
            for (at, len) in vectors(simd, dx.len()) {
                let slope = math::silu_derivative(simd, load(simd, x, at, len));
                store(simd, dx, at, len, simd.mul_f32s(slope, load(simd, dy, at, len)));
            }
        }
    }
    assert_eq!(x.len(), dx.len(), "numbers of x and of its gradient");
    assert_eq!(dy.len(), dx.len(), "numbers of the two gradients");
    let work = dx.len();
    for_each(dx, CHUNK, work, |i, dx| {
        let at = i * CHUNK..i * CHUNK + dx.len();
        dispatch(Op(&x[at.clone()], &dy[at], dx));
    });
}
