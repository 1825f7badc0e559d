//! Blocks of convolutional networks: residual, attention, down and up.
//!
//! All map `[batch, channels, height, width]` to the same layout, and compute in the dtype of the
//! input.

mod attention;
pub mod ops;
mod resample;
mod residual;

pub use attention::SelfAttention;
pub use resample::{Downsample, Upsample};
pub use residual::{Residual, ResidualConfig};

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::Device;

/// Creates a 3×3 convolution that keeps height and width.
pub(crate) fn conv3x3(channels_in: usize, channels_out: usize) -> Conv2dConfig {
    Conv2dConfig::new([channels_in, channels_out], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
}

/// Creates a 3×3 convolution initialized to 0.
///
/// A residual block that is initially the identity, and a network that initially predicts 0, train
/// more stably than random ones.
pub(crate) fn zero_conv3x3(channels_in: usize, channels_out: usize, device: &Device) -> Conv2d {
    conv3x3(channels_in, channels_out).with_initializer(Initializer::Zeros).init(device)
}
