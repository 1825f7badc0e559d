//! Self-attention over pixels.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{GroupNorm, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::{Ops, group_norm, require_scale, scaled};
use crate::NetworkConfigError;

/// The configuration of [`SelfAttention`].
#[derive(Config, Debug)]
pub struct SelfAttentionConfig {
    /// The number of channels.
    pub channels: usize,
    /// The number of channels of a head; `None` for one head.
    pub head_size: Option<usize>,
    /// The number of groups of the group norm; it divides the channels.
    #[config(default = 8)]
    pub norm_groups: usize,
    /// What the group norm adds to the variance.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// What the sum of x and the attention is divided by.
    #[config(default = 1.0)]
    pub output_scale: f64,
    /// Whether there is a group norm. A few networks have none.
    #[config(default = true)]
    pub norm: bool,
}

/// Residual self-attention over all pixels: `(x + W_o softmax(q kᵀ/√d) v)/c`, with q, k, v linear in
/// `norm(x)`, in heads of d channels; the scale c is 1 in most networks.
///
/// The last matrix is initialized to 0, so the block is initially the identity. Sources: Vaswani et
/// al., *Attention Is All You Need*, eq. 1, arXiv 1706.03762; in a U-Net: Ho et al., *Denoising
/// Diffusion Probabilistic Models*, appendix B, arXiv 2006.11239.
#[derive(Module, Debug)]
pub struct SelfAttention {
    group_norm: Option<GroupNorm>,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: [Linear; 1],
    heads: usize,
    output_scale: f64,
}

/// The names that old checkpoints of diffusers have for the matrices of attention, and ours.
pub(crate) const OLD_ATTENTION_NAMES: [(&str, &str); 4] =
    [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];

impl SelfAttentionConfig {
    /// Creates the block on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if the number of channels is 0, or not a multiple of the head size and of
    /// the norm groups, or `norm_eps` or the scale is not above 0.
    pub fn init(&self, device: &Device) -> Result<SelfAttention, NetworkConfigError> {
        let (what, channels) = ("channels with attention", self.channels);
        NetworkConfigError::require_channels(what, &[channels], self.norm_groups)?;
        let head_size = self.head_size.unwrap_or(channels);
        NetworkConfigError::require_some("head_size", head_size)?;
        let of = "size of an attention head";
        NetworkConfigError::require_multiple(what, channels, head_size, of)?;
        require_scale(self.output_scale)?;
        let square = LinearConfig::new(channels, channels);
        let norm = || group_norm(self.norm_groups, channels, self.norm_eps, device);
        Ok(SelfAttention {
            group_norm: self.norm.then(norm).transpose()?,
            to_q: square.init(device),
            to_k: square.init(device),
            to_v: square.init(device),
            to_out: [square.with_initializer(Initializer::Zeros).init(device)],
            heads: channels / head_size,
            output_scale: self.output_scale,
        })
    }
}

impl SelfAttention {
    /// Applies the block to `[batch, h, w, channels]`; the shape does not change.
    pub fn forward(&self, ops: &Ops, x: Tensor<4>) -> Tensor<4> {
        let shape @ [batch, height, width, channels] = x.dims();
        let pixels = [batch, height * width, channels];
        let rows = match &self.group_norm {
            Some(norm) => ops.group_norm(norm, x.clone()).reshape(pixels),
            None => x.clone().reshape(pixels),
        };
        let q = ops.linear(&self.to_q, rows.clone());
        let k = ops.linear(&self.to_k, rows.clone());
        let v = ops.linear(&self.to_v, rows);
        let mixed = ops.attention(q, k, v, self.heads);
        let sum = ops.linear_add(&self.to_out[0], mixed, x.reshape(pixels)).reshape(shape);
        scaled(sum, self.output_scale)
    }
}
