//! Downsampling and upsampling by 2.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::{conv3x3, ops};

/// Downsampling by 2 in height and width: a 3×3 convolution with stride 2.
#[derive(Module, Debug)]
pub struct Downsample {
    conv: Conv2d,
}

impl Downsample {
    /// Creates the layer; it keeps the number of channels.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self { conv: conv3x3(channels, channels).with_stride([2, 2]).init(device) }
    }

    /// Maps `[batch, channels, h, w]` → `[batch, channels, h/2, w/2]`; h and w even.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::downsample(&self.conv, x)
    }
}

/// Upsampling by 2 in height and width: every pixel four times, then a 3×3 convolution.
#[derive(Module, Debug)]
pub struct Upsample {
    conv: Conv2d,
}

impl Upsample {
    /// Creates the layer from `channels_in` to `channels_out`. The finer level usually has fewer
    /// channels; changing them here instead of in the next block halves the work at the finer
    /// resolution.
    pub fn new(channels_in: usize, channels_out: usize, device: &Device) -> Self {
        Self { conv: conv3x3(channels_in, channels_out).init(device) }
    }

    /// Maps `[batch, channels_in, h, w]` → `[batch, channels_out, 2h, 2w]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::conv2d(&self.conv, ops::upsample_nearest(x))
    }
}
