//! Downsampling and upsampling by 2.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Int, Tensor};

use super::{Ops, conv3x3};

/// Downsampling by 2 in height and width: a 3×3 convolution with stride 2.
#[derive(Module, Debug)]
pub struct Downsample {
    conv: Conv2d,
}

impl Downsample {
    /// Creates the layer, padded by 1 on all sides; it keeps the number of channels.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self::padded(channels, PaddingConfig2d::Explicit(1, 1, 1, 1), device)
    }

    /// Creates the layer, padded by 1 below and on the right only, as DDPM's U-Net is.
    pub fn asymmetric(channels: usize, device: &Device) -> Self {
        Self::padded(channels, PaddingConfig2d::Explicit(0, 0, 1, 1), device)
    }

    fn padded(channels: usize, padding: PaddingConfig2d, device: &Device) -> Self {
        let conv = conv3x3(channels, channels).with_stride([2, 2]).with_padding(padding);
        Self { conv: conv.init(device) }
    }

    /// Maps `[batch, h, w, channels]` → `[batch, h/2, w/2, channels]`; h and w even.
    pub fn forward(&self, ops: &Ops, x: Tensor<4>) -> Tensor<4> {
        ops.downsample(&self.conv, x)
    }
}

/// Upsampling by 2 in height and width: every pixel four times, then a 3×3 convolution.
#[derive(Module, Debug)]
pub struct Upsample {
    conv: Conv2d,
}

impl Upsample {
    /// Creates the layer from `channels_in` to `channels_out`.
    pub fn new(channels_in: usize, channels_out: usize, device: &Device) -> Self {
        Self { conv: conv3x3(channels_in, channels_out).init(device) }
    }

    /// Maps `[batch, h, w, channels_in]` → `[batch, 2h, 2w, channels_out]`.
    pub fn forward(&self, ops: &Ops, x: Tensor<4>) -> Tensor<4> {
        ops.upsample_conv2d(&self.conv, x)
    }

    /// Maps `[batch, h, w, channels_in]` to this height and width, which are twice those of x or
    /// nearly so: each pixel is that of x in its place.
    pub fn forward_to(&self, ops: &Ops, x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let [_, height, width, _] = x.dims();
        if size == [2 * height, 2 * width] {
            return self.forward(ops, x);
        }
        let mut x = x;
        for axis in [1, 2] {
            let (from, to) = ([height, width][axis - 1], size[axis - 1]);
            let places: Vec<i64> = (0..to).map(|place| (place * from / to) as i64).collect();
            let places = Tensor::<1, Int>::from_ints(places.as_slice(), &x.device());
            x = x.select(axis, places);
        }
        ops.conv2d(&self.conv, x)
    }
}
