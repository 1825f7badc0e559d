//! Self-conditioning: a network that also sees its earlier prediction of the data.

mod sampling;
mod training;

use burn::tensor::Tensor;
use ddm_denoiser::ModelError;

pub use sampling::SelfConditioned;

/// Returns x and the estimate of the data along the channels: the network's input.
fn beside<const D: usize>(x: Tensor<D>, estimate: Tensor<D>) -> Tensor<D> {
    let estimate = estimate.cast(x.dtype());
    Tensor::cat(vec![x, estimate], 1)
}

/// Returns the shape of the network's input for x of this shape.
fn doubled<const D: usize>(shape: [usize; D]) -> Result<[usize; D], ModelError> {
    let mut doubled = shape;
    let Some(channels) = doubled.get_mut(1) else {
        return Err(ModelError::Shape {
            what: "the shape of x",
            found: format!("{shape:?}"),
            expected: "[batch, channels, …] for self-conditioning".to_owned(),
        });
    };
    *channels *= 2;
    Ok(doubled)
}
