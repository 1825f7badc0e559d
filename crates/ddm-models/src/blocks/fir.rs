//! Resampling by 2 without weights.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::Ops;

/// How an image is resampled by 2, without weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resample {
    /// The mean of four pixels.
    Mean,
    /// Every pixel four times.
    Nearest,
    /// Halving with the filter (1, 3, 3, 1)/8 along both axes.
    ///
    /// Source: Zhang, *Making Convolutional Networks Shift-Invariant Again*, arXiv 1904.11486.
    FirDown,
    /// Doubling with the filter (1, 3, 3, 1)/4 along both axes, between zeros.
    FirUp,
}

impl Resample {
    /// Maps `[batch, h, w, channels]` to half or twice the height and width. Halving leaves out the
    /// last row or column of an odd number.
    pub fn forward(self, ops: &Ops, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Mean => mean(x),
            Self::Nearest => ops.upsample_nearest(x),
            Self::FirDown => fir_down(fir_down(x, 1), 2),
            Self::FirUp => fir_up(fir_up(x, 1), 2),
        }
    }
}

fn mean(x: Tensor<4>) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let [h, w] = [height / 2, width / 2];
    let x = x.narrow(1, 0, 2 * h).narrow(2, 0, 2 * w);
    let x = x.reshape([batch, h, 2, w, 2, channels]);
    x.mean_dim(2).mean_dim(4).reshape([batch, h, w, channels])
}

/// Adds a row of zeros at both ends of an axis.
fn padded(x: Tensor<4>, axis: usize) -> Tensor<4> {
    let mut shape = x.dims();
    shape[axis] = 1;
    let zeros = Tensor::zeros(shape, (&x.device(), x.dtype()));
    Tensor::cat(vec![zeros.clone(), x, zeros], axis)
}

/// Splits an axis into pairs, and returns the first and the second of each.
fn pairs(x: Tensor<4>, axis: usize) -> [Tensor<4>; 2] {
    let [a, b, c, d] = x.dims();
    match axis {
        1 => {
            let x = x.reshape([a, b / 2, 2, c, d]);
            [0, 1].map(|i| x.clone().narrow(2, i, 1).reshape([a, b / 2, c, d]))
        }
        _ => {
            let x = x.reshape([a, b, c / 2, 2, d]);
            [0, 1].map(|i| x.clone().narrow(3, i, 1).reshape([a, b, c / 2, d]))
        }
    }
}

fn fir_down(x: Tensor<4>, axis: usize) -> Tensor<4> {
    let length = x.dims()[axis] / 2;
    let x = x.narrow(axis, 0, 2 * length);
    let [even, odd] = pairs(padded(x, axis), axis);
    let [first, last] =
        [(even.clone(), 0), (odd.clone(), 1)].map(|(x, i)| x.narrow(axis, i, length));
    let [left, right] = [(odd, 0), (even, 1)].map(|(x, i)| x.narrow(axis, i, length));
    (first + last) * 0.125 + (left + right) * 0.375
}

fn fir_up(x: Tensor<4>, axis: usize) -> Tensor<4> {
    let shape = x.dims();
    let length = shape[axis];
    let wide = padded(x.clone(), axis);
    let near = x * 0.75;
    let [before, after] =
        [0, 2].map(|i| near.clone() + wide.clone().narrow(axis, i, length) * 0.25);
    let [batch, height, width, channels] = shape;
    // Interleaved: an axis of two behind the axis.
    match axis {
        1 => {
            let rows = Tensor::stack::<5>(vec![before, after], 2);
            rows.reshape([batch, 2 * height, width, channels])
        }
        _ => {
            let columns = Tensor::stack::<5>(vec![before, after], 3);
            columns.reshape([batch, height, 2 * width, channels])
        }
    }
}
