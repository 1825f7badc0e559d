//! The layers of a control image.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use crate::NetworkConfigError;
use crate::blocks::{Ops, conv3x3, zero_conv3x3};

/// The layers of the control image: `[batch, f h, f w, channels]` → `[batch, h, w, first channels]`.
#[derive(Module, Debug)]
pub(super) struct Hint {
    conv_in: Conv2d,
    blocks: Vec<Conv2d>,
    conv_out: Conv2d,
}

impl Hint {
    /// Creates the layers of an image of this many channels. `widths` are those of the layers, each of
    /// which but the first halves the image; `first` are the channels that they end with.
    pub(super) fn new(
        channels: usize,
        widths: &[usize],
        first: usize,
        device: &Device,
    ) -> Result<Self, NetworkConfigError> {
        let what = "conditioning_embedding_out_channels";
        NetworkConfigError::require_some("conditioning_channels", channels)?;
        NetworkConfigError::require_channels(what, widths, 1)?;
        let mut blocks = Vec::new();
        for pair in widths.windows(2) {
            blocks.push(conv3x3(pair[0], pair[0]).init(device));
            blocks.push(conv3x3(pair[0], pair[1]).with_stride([2, 2]).init(device));
        }
        Ok(Self {
            conv_in: conv3x3(channels, widths[0]).init(device),
            blocks,
            conv_out: zero_conv3x3(widths[widths.len() - 1], first, device),
        })
    }

    pub(super) fn forward(&self, ops: &Ops, image: Tensor<4>) -> Tensor<4> {
        let mut h = ops.silu(ops.conv2d(&self.conv_in, image));
        for block in &self.blocks {
            h = ops.silu(ops.conv2d(block, h));
        }
        ops.conv2d(&self.conv_out, h)
    }
}
