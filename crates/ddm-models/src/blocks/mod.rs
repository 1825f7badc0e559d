//! Blocks of convolutional networks: residual, attention, down and up.
//!
//! All map `[batch, height, width, channels]` to the same layout, and compute in the dtype of the
//! input. A network that is given `[batch, channels, height, width]` moves the channels at its doors,
//! by [`to_channels_last`](plain::to_channels_last) and
//! [`to_channels_first`](plain::to_channels_first).

mod activation;
mod added_attention;
mod attention;
mod attention_options;
mod cross_attention;
mod embedding_mlp;
#[cfg(feature = "kernels")]
mod fast;
mod fir;
mod ops;
#[cfg(feature = "kernels")]
mod packing;
pub mod plain;
mod resample;
mod residual;
mod spatial_transformer;
mod transformer;

pub use activation::Activation;
pub use added_attention::{AddedAttention, AddedAttentionConfig, ContextNorm};
pub(crate) use attention::OLD_ATTENTION_NAMES;
pub use attention::{SelfAttention, SelfAttentionConfig};
pub use attention_options::AttentionOptions;
pub use cross_attention::{Context, CrossAttention, CrossAttentionConfig};
pub(crate) use embedding_mlp::EmbeddingMlp;
pub use fir::Resample;
pub use ops::Ops;
#[cfg(not(feature = "kernels"))]
pub(crate) use ops::pack;
#[cfg(feature = "kernels")]
pub(crate) use packing::pack;
pub use resample::{Downsample, Upsample};
pub use residual::{Residual, ResidualConfig};
pub use spatial_transformer::{SpatialTransformer, SpatialTransformerConfig};
pub use transformer::{FeedForward, TransformerBlock, TransformerBlockConfig};

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use ddm_schedule::Invalid;

use crate::NetworkConfigError;

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

/// Creates a group norm; its groups must divide the channels.
pub(crate) fn group_norm(
    groups: usize,
    channels: usize,
    epsilon: f64,
    device: &Device,
) -> Result<GroupNorm, NetworkConfigError> {
    let valid = epsilon > 0.0 && epsilon.is_finite();
    Invalid::require(valid, "norm_eps", epsilon, "finite and above 0")?;
    Ok(GroupNormConfig::new(groups, channels).with_epsilon(epsilon).init(device))
}

/// Checks what a block divides its sum by.
pub(crate) fn require_scale(scale: f64) -> Result<(), NetworkConfigError> {
    let valid = scale > 0.0 && scale.is_finite();
    Ok(Invalid::require(valid, "output_scale", scale, "finite and above 0")?)
}

/// Returns `x/scale`.
pub(crate) fn scaled<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    if scale == 1.0 { x } else { x / scale }
}
