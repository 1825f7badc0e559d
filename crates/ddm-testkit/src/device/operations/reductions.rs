//! Sums, means and extremes.

use super::POINTWISE_TOLERANCE;
use crate::device::Operation;

pub(super) fn operations() -> Vec<Operation> {
    let shapes: [&[usize]; 2] = [&[2, 8, 3136], &[5, 3, 77]];
    shapes
        .into_iter()
        .flat_map(|shape| {
            let new = |name, axis: usize| {
                Operation::new(name, &[shape], POINTWISE_TOLERANCE, move |x| {
                    x.get::<3>(0).sum_dim(axis)
                })
            };
            [
                new("sum of the last axis", 2),
                new("sum of the middle axis", 1),
                new("sum of the first axis", 0),
                Operation::new("mean of all squares", &[shape], POINTWISE_TOLERANCE, |x| {
                    x.get::<3>(0).square().mean()
                }),
                Operation::new("norm of each sample", &[shape], POINTWISE_TOLERANCE, |x| {
                    let [n, ..] = x.get::<3>(0).dims();
                    x.get::<3>(0).reshape([n as i64, -1]).square().mean_dim(1).sqrt()
                }),
                Operation::new("largest of the last axis", &[shape], POINTWISE_TOLERANCE, |x| {
                    x.get::<3>(0).max_dim(2)
                }),
            ]
        })
        .collect()
}
