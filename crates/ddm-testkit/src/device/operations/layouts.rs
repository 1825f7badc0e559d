//! Axes joined, cut and moved.

use burn::tensor::{Int, Tensor};

use super::operation;
use crate::device::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation("channels joined", &[&[2, 16, 7, 7], &[2, 5, 7, 7]], |x| {
            Tensor::cat(vec![x.get::<4>(0), x.get(1)], 1)
        }),
        operation("samples joined", &[&[2, 3, 9, 9], &[5, 3, 9, 9]], |x| {
            Tensor::cat(vec![x.get::<4>(0), x.get(1)], 0) * 2.0
        }),
        operation("a part", &[&[3, 12, 8, 5]], |x| x.get::<4>(0).narrow(1, 5, 4).narrow(3, 1, 3)),
        operation("pixels as rows", &[&[2, 24, 7, 7]], |x| {
            x.get::<4>(0).permute([0, 2, 3, 1]).reshape([2, 49, 24]) + 1.0
        }),
        // Queries, keys and values out of one product, in heads.
        operation("heads", &[&[2, 49, 96]], |x| {
            let qkv = x.get::<3>(0).reshape([2, 49, 3, 4, 8]);
            let part = |i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2).swap_dims(1, 2);
            part(0) * part(1) + part(2)
        }),
        operation("rows as pixels", &[&[2, 49, 24], &[2, 24, 7, 7]], |x| {
            x.get::<3>(0).swap_dims(1, 2).reshape([2, 24, 7, 7]) + x.get(1)
        }),
        operation("patches", &[&[2, 4, 16, 16]], |x| {
            let patches = x.get::<4>(0).reshape([2, 4, 8, 2, 8, 2]).permute([0, 2, 4, 3, 5, 1]);
            patches.reshape([2, 64, 16])
        }),
        operation("rows of a table", &[&[11, 24]], |x| {
            let table = x.get::<2>(0);
            let rows = Tensor::<1, Int>::from_data([3, 10, 0, 3], &table.device());
            table.select(0, rows) * 2.0
        }),
        operation("a reversed axis", &[&[3, 4, 5, 6]], |x| x.get::<4>(0).flip([3]) * 2.0),
    ]
}
