//! Self-attention over pixels.

use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::ops;
use crate::NetworkConfigError;

/// Residual self-attention over all pixels: `x + W_o softmax(q kᵀ/√d) v`, with q, k, v from
/// `W norm(x)`, in heads of d channels.
///
/// The last matrix is initialized to 0, so the block is initially the identity. Sources: Vaswani et
/// al., *Attention Is All You Need*, eq. 1, arXiv 1706.03762; in a U-Net: Ho et al., *Denoising
/// Diffusion Probabilistic Models*, appendix B, arXiv 2006.11239.
#[derive(Module, Debug)]
pub struct SelfAttention {
    norm: GroupNorm,
    qkv: Linear,
    output: Linear,
    heads: usize,
}

impl SelfAttention {
    /// Creates attention over `channels` in heads of `head_size` channels each.
    ///
    /// # Errors
    ///
    /// Returns an error if `channels` is 0, or not a multiple of `head_size` and of `norm_groups`.
    pub fn new(
        channels: usize,
        head_size: usize,
        norm_groups: usize,
        device: &Device,
    ) -> Result<Self, NetworkConfigError> {
        let what = "channels with attention";
        NetworkConfigError::require_channels(what, &[channels], norm_groups)?;
        NetworkConfigError::require_some("head_size", head_size)?;
        NetworkConfigError::require_multiple(
            what,
            channels,
            head_size,
            "size of an attention head",
        )?;
        let output = LinearConfig::new(channels, channels).with_initializer(Initializer::Zeros);
        Ok(Self {
            norm: GroupNormConfig::new(norm_groups, channels).init(device),
            qkv: LinearConfig::new(channels, 3 * channels).init(device),
            output: output.init(device),
            heads: channels / head_size,
        })
    }

    /// Applies the block to `[batch, channels, h, w]`; the shape does not change.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let (pixels, head_size) = (height * width, channels / self.heads);
        let rows = ops::group_norm(&self.norm, x.clone())
            .reshape([batch, channels, pixels])
            .swap_dims(1, 2);
        // [batch, pixels, 3, heads, head_size] → three of [batch, heads, pixels, head_size]
        let qkv = ops::linear(&self.qkv, rows).reshape([batch, pixels, 3, self.heads, head_size]);
        let part = |i| qkv.clone().narrow(2, i, 1).squeeze_dim::<4>(2).swap_dims(1, 2);
        let mixed = ops::attention(part(0), part(1), part(2));
        let mixed = mixed.swap_dims(1, 2).reshape([batch, pixels, channels]);
        x + ops::linear(&self.output, mixed)
            .swap_dims(1, 2)
            .reshape([batch, channels, height, width])
    }
}
