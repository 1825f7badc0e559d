//! Resampling of images.

use burn::tensor::Tensor;
use burn::tensor::module::{adaptive_avg_pool2d, interpolate};
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

use super::POINTWISE_TOLERANCE;
use crate::device::{Operation, Pass};

pub(super) fn operations() -> Vec<Operation> {
    let shapes: [[usize; 4]; 2] = [[2, 16, 14, 14], [3, 5, 7, 9]];
    shapes
        .into_iter()
        .flat_map(|shape| {
            let new = |name, apply: fn(Tensor<4>) -> Tensor<4>| {
                Operation::new(name, &[&shape], POINTWISE_TOLERANCE, move |x| apply(x.get(0)))
            };
            [
                new("pixels doubled by a broadcast", doubled),
                new("bilinear interpolation", |x| {
                    let [.., height, width] = x.dims();
                    let options = InterpolateOptions::new(InterpolateMode::Bilinear);
                    let options = options.with_align_corners(false);
                    interpolate(x, options.with_output_size([2 * height, 2 * width]))
                })
                // Not every backend of burn has its gradient, and our networks do not need it.
                .only(&[Pass::Forward, Pass::Half]),
                new("mean of all pixels", |x| adaptive_avg_pool2d(x, [1, 1])),
            ]
        })
        .collect()
}

fn doubled(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, h, w] = x.dims();
    let twice = x.reshape([batch, channels, h, 1, w, 1]).expand([batch, channels, h, 2, w, 2]);
    twice.reshape([batch, channels, 2 * h, 2 * w])
}
