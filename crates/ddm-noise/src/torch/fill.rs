//! Torch's normal numbers in blocks of 16.

use std::{f32, f64};

use super::polynomials::{ln, sin_cos};

/// A float type of the Box–Muller transform.
pub(super) trait Block: Copy + Default {
    /// Returns the normal pair of two uniform numbers on [0, 1): the radius is that of `1 − u`, the
    /// angle `2π v`.
    fn pair(u: Self, v: Self) -> (Self, Self);
}

impl Block for f32 {
    fn pair(u: Self, v: Self) -> (Self, Self) {
        let (radius, (sin, cos)) = ((-2.0 * ln(1.0 - u)).sqrt(), sin_cos(f32::consts::TAU * v));
        (radius * cos, radius * sin)
    }
}

impl Block for f64 {
    fn pair(u: Self, v: Self) -> (Self, Self) {
        let (radius, angle) = ((-2.0 * (1.0 - u).ln()).sqrt(), f64::consts::TAU * v);
        (radius * angle.cos(), radius * angle.sin())
    }
}

/// Returns `size` normal numbers, at least 16. It first draws `drawn` uniform numbers, at least
/// those of the complete blocks. If the last block is incomplete, 16 more replace the last 16
/// numbers.
pub(super) fn fill<T: Block>(size: usize, drawn: usize, mut uniform: impl FnMut() -> T) -> Vec<T> {
    let mut values = vec![T::default(); size];
    values[..drawn].fill_with(&mut uniform);
    values.chunks_exact_mut(16).for_each(transform);
    if !size.is_multiple_of(16) {
        let last = &mut values[size - 16..];
        last.fill_with(uniform);
        transform(last);
    }
    values
}

/// Transforms a block, in which number i is paired with number i + 8.
fn transform<T: Block>(block: &mut [T]) {
    let (first, second) = block.split_at_mut(8);
    for (u, v) in first.iter_mut().zip(second) {
        (*u, *v) = T::pair(*u, *v);
    }
}
