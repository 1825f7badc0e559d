//! Attention, written out and by burn.

use burn::tensor::activation::softmax;
use burn::tensor::module;

use super::PRODUCT_TOLERANCE;
use crate::device::Operation;

/// Batch, heads, queries, keys, head size: self-attention over 7×7 and 16×16 pixels, and
/// cross-attention with 77 words.
const SIZES: [[usize; 5]; 5] = [
    [4, 4, 49, 49, 8],
    [2, 4, 64, 64, 16],
    [1, 8, 256, 256, 40],
    [2, 2, 64, 77, 32],
    [1, 1, 16, 16, 64],
];

pub(super) fn operations() -> Vec<Operation> {
    SIZES.into_iter().flat_map(|sizes| [written_out(sizes), burns(sizes)]).collect()
}

/// Returns softmax(q kᵀ/√d) v as our networks compute it.
pub(super) fn written_out(sizes: [usize; 5]) -> Operation {
    let size = (sizes[4] as f64).sqrt();
    with_shapes(sizes, |shapes| {
        Operation::new("attention", shapes, PRODUCT_TOLERANCE, move |x| {
            let likeness = x.get::<4>(0).matmul(x.get::<4>(1).swap_dims(2, 3)) / size;
            softmax(likeness, 3).matmul(x.get(2))
        })
    })
}

/// Returns burn's own kernel for it.
fn burns(sizes: [usize; 5]) -> Operation {
    with_shapes(sizes, |shapes| {
        Operation::new("burn's attention", shapes, PRODUCT_TOLERANCE, |x| {
            module::attention(x.get(0), x.get(1), x.get(2), None, None, Default::default())
        })
    })
}

fn with_shapes(
    [batch, heads, queries, keys, size]: [usize; 5],
    operation: impl FnOnce(&[&[usize]]) -> Operation,
) -> Operation {
    let (query, key) = ([batch, heads, queries, size], [batch, heads, keys, size]);
    operation(&[&query, &key, &key])
}
