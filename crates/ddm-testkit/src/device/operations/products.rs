//! Matrix products.

use burn::tensor::activation::silu;
use burn::tensor::module::linear;

use super::PRODUCT_TOLERANCE;
use crate::device::{Inputs, Operation};

/// Rows, inner size and columns: squares, odd sizes, multiples of 4 and 8 and not, tall and thin.
const SIZES: [[usize; 3]; 14] = [
    [4, 4, 4],
    [16, 16, 16],
    [64, 64, 64],
    [512, 512, 512],
    [7, 33, 65],
    [49, 8, 49],
    [49, 49, 8],
    [63, 64, 65],
    [36, 20, 12],
    [1, 64, 64],
    [64, 64, 1],
    [1, 301, 1],
    [1024, 64, 96],
    [5, 1030, 6],
];

/// Batch axes of a product of batches.
const BATCHED: [([usize; 2], [usize; 3]); 3] =
    [([4, 4], [49, 8, 49]), ([2, 4], [64, 16, 64]), ([3, 1], [9, 15, 10])];

pub(super) fn operations() -> Vec<Operation> {
    let plain = SIZES.map(product);
    let batched = BATCHED.map(|([a, b], [m, k, n])| {
        let shapes: [&[usize]; 2] = [&[a, b, m, k], &[a, b, k, n]];
        new("batched product", &shapes, |x| x.get::<4>(0).matmul(x.get(1)))
    });
    let broadcast = new("product with one matrix", &[&[3, 10, 12], &[1, 12, 9]], |x| {
        x.get::<3>(0).matmul(x.get(1))
    });
    let transposed = [[64, 64, 64], [7, 33, 65], [48, 24, 40]].map(|[m, k, n]| {
        new("product with a transposed", &[&[m, k], &[n, k]], |x| {
            x.get::<2>(0).matmul(x.get::<2>(1).transpose())
        })
    });
    let of_transposed = [[64, 64, 64], [7, 33, 65]].map(|[m, k, n]| {
        new("product of a transposed", &[&[k, m], &[k, n]], |x| {
            x.get::<2>(0).transpose().matmul(x.get(1))
        })
    });
    let linears = [[16, 32, 128], [5, 33, 7]].map(|[n, a, b]| {
        new("linear layer", &[&[2, n, a], &[a, b], &[b]], |x| {
            linear::<3>(x.get(0), x.get(1), Some(x.get(2)))
        })
    });
    let fused = [[64, 64, 64], [32, 128, 64], [7, 33, 65], [49, 16, 8]].map(|[m, k, n]| {
        new("product, bias and SiLU", &[&[m, k], &[k, n], &[1, n]], |x| {
            silu(x.get::<2>(0).matmul(x.get(1)) + x.get(2))
        })
    });
    let mut all = Vec::from(plain);
    all.extend(batched);
    all.push(broadcast);
    all.extend(transposed);
    all.extend(of_transposed);
    all.extend(linears);
    all.extend(fused);
    all
}

/// Returns the product of an m×k and a k×n matrix.
pub(super) fn product([m, k, n]: [usize; 3]) -> Operation {
    new("product", &[&[m, k], &[k, n]], |x| x.get::<2>(0).matmul(x.get(1)))
}

fn new<const D: usize>(
    name: &str,
    shapes: &[&[usize]],
    apply: impl Fn(&Inputs) -> burn::tensor::Tensor<D> + 'static,
) -> Operation {
    Operation::new(name, shapes, PRODUCT_TOLERANCE, apply)
}
