//! The operations of our networks, in the shapes that they have there.

mod attention;
mod convolutions;
mod layouts;
mod norms;
mod pointwise;
mod products;
mod random;
mod reductions;
mod resampling;

use burn::tensor::Tensor;

use super::{Inputs, Operation};

/// The largest error of matrix products and convolutions, and of what is made of them, in f32.
///
/// It admits TF32: tensor cores round f32 inputs to 11 bits, and burn uses them where it finds them.
pub const PRODUCT_TOLERANCE: f64 = 2e-3;

/// The largest error of all other operations in f32.
pub const POINTWISE_TOLERANCE: f64 = 1e-4;

/// Returns the operations of our networks, and some whose shapes are drawn from `seed`.
///
/// Convolutions of all kinds, matrix products of many sizes, attention, norms, activations,
/// resampling, reductions, moved and joined axes, and chains that kernel fusion catches.
#[must_use]
pub fn operations(seed: u64) -> Vec<Operation> {
    let mut all = products::operations();
    all.extend(convolutions::operations());
    all.extend(attention::operations());
    all.extend(norms::operations());
    all.extend(pointwise::operations());
    all.extend(resampling::operations());
    all.extend(reductions::operations());
    all.extend(layouts::operations());
    all.extend(random::operations(seed));
    all
}

/// Returns an operation that is no product: with [`POINTWISE_TOLERANCE`].
fn operation<const D: usize>(
    name: &str,
    shapes: &[&[usize]],
    apply: impl Fn(&Inputs) -> Tensor<D> + 'static,
) -> Operation {
    Operation::new(name, shapes, POINTWISE_TOLERANCE, apply)
}
