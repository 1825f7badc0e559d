//! Adaptive layer norm: the condition shifts, scales and gates.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::blocks::Ops;

/// What the norms without parameters add to the variance, where a config does not say it.
pub(super) const EPSILON: f64 = 1e-6;

/// Shifts, scales and gates as a linear function of the activated condition.
///
/// It is initialized to 0, so that each block is initially the identity (adaLN-Zero). Source: Peebles &
/// Xie, *Scalable Diffusion Models with Transformers*, sec. 3.2, arXiv 2212.09748.
#[derive(Module, Debug)]
pub(super) struct Modulation {
    linear: Linear,
}

impl Modulation {
    /// Creates the layer for vectors of size `width`, of which it gives `parts`.
    pub(super) fn new(width: usize, parts: usize, device: &Device) -> Self {
        Self { linear: zero_linear(width, parts * width, device) }
    }

    /// Returns the parts, `[batch, 1, width]` each, for a condition `[batch, width]`.
    pub(super) fn parts<const N: usize>(&self, ops: &Ops, condition: Tensor<2>) -> [Tensor<3>; N] {
        let all = ops.linear(&self.linear, ops.silu(condition));
        let [batch, width] = all.dims();
        split(all.reshape([batch, N, width / N]))
    }
}

/// Returns the N rows of each sample, `[batch, N, width]` → `[batch, 1, width]` each.
pub(super) fn split<const N: usize>(parts: Tensor<3>) -> [Tensor<3>; N] {
    std::array::from_fn(|i| parts.clone().narrow(1, i, 1))
}

/// Creates a linear layer initialized to 0.
pub(super) fn zero_linear(from: usize, to: usize, device: &Device) -> Linear {
    LinearConfig::new(from, to).with_initializer(Initializer::Zeros).init(device)
}

/// Returns `norm(x) (1 + scale) + shift`, with a layer norm without parameters.
pub(super) fn modulated(
    ops: &Ops,
    x: Tensor<3>,
    epsilon: f64,
    shift: Tensor<3>,
    scale: Tensor<3>,
) -> Tensor<3> {
    ops.normalize(x, epsilon) * (scale + 1.0) + shift
}
