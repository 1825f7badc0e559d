//! Operations on single elements, alone and in chains.

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, relu, sigmoid, silu, softmax, tanh};

use super::operation;
use crate::device::{Operation, Pass};

pub(super) fn operations() -> Vec<Operation> {
    let (image, odd): ([usize; 4], [usize; 4]) = ([2, 16, 28, 28], [3, 5, 7, 9]);
    let mut all = Vec::new();
    for shape in [image, odd] {
        all.push(operation("SiLU", &[&shape], |x| silu(x.get::<4>(0))));
        all.push(operation("ReLU", &[&shape], |x| relu(x.get::<4>(0))));
        all.push(operation("tanh and sigmoid", &[&shape], |x| {
            tanh(x.get::<4>(0)) * sigmoid(x.get(0))
        }));
        // Most backends of burn take the gradient of the approximation by tanh, 5e-4 away.
        all.push(Operation::new("GELU", &[&shape], 1e-3, |x| gelu(x.get::<4>(0))));
        all.push(operation("softmax", &[&shape], |x| softmax(x.get::<4>(0), 3)));
        let [batch, channels, ..] = shape;
        let channel = [batch, channels, 1, 1];
        all.push(operation("scale and shift of channels", &[&shape, &channel, &channel], |x| {
            silu(x.get::<4>(0) * (x.get(1) + 1.0) + x.get(2))
        }));
        all.push(operation("residual", &[&shape, &shape], |x| {
            (x.get::<4>(0) + x.get(1)) / 2f64.sqrt()
        }));
    }
    all.push(operation("softmax of long rows", &[&[3, 1001]], |x| softmax(x.get::<2>(0), 1)));
    all.push(operation("softmax of an inner axis", &[&[2, 33, 7]], |x| softmax(x.get::<3>(0), 1)));
    // The kernel of a sampler: x̂₀ clipped, ε̂, and the next x.
    all.push(operation("sampler's step", &[&image, &image], |x| {
        let (noisy, x0) = (x.get::<4>(0), x.get::<4>(1).clamp(-1.0, 1.0));
        let epsilon = (noisy - x0.clone() * 0.8) / 0.6;
        x0 * 0.9 + epsilon * 0.19f64.sqrt()
    }));
    // A time embedding: angles of up to several hundred radians, always in f32.
    let embedding = operation("time embedding", &[&[16, 1], &[1, 32]], |x| {
        let angles = x.get::<2>(0) * 100.0 * x.get::<2>(1);
        Tensor::cat(vec![angles.clone().sin(), angles.cos()], 1)
    });
    all.push(embedding.only(&[Pass::Forward]));
    all
}
