//! The feed-forward network of a transformer block.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::blocks::{Activation, Ops};

/// Two linear layers with an activation between them, the hidden width four times the outer.
#[derive(Module, Debug)]
pub(super) struct FeedForward {
    net: (Hidden, Dropout, Linear),
}

#[derive(Module, Debug)]
struct Hidden {
    proj: Linear,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    pub(super) fn new(width: usize, activation: Activation, dropout: f64, device: &Device) -> Self {
        let hidden = 4 * width;
        let first = Hidden { proj: LinearConfig::new(width, hidden).init(device), activation };
        let last = LinearConfig::new(hidden, width).init(device);
        Self { net: (first, DropoutConfig::new(dropout).init(), last) }
    }

    /// Maps `[batch, length, width]` to the same shape.
    pub(super) fn forward(&self, ops: &Ops, x: Tensor<3>) -> Tensor<3> {
        let (first, dropout, last) = &self.net;
        let h = first.activation.forward(ops.linear(&first.proj, x));
        ops.linear(last, dropout.forward(h))
    }
}
