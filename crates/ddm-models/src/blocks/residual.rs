//! The residual block.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Dropout, DropoutConfig, GroupNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::{Ops, conv3x3, group_norm, zero_conv3x3};
use crate::NetworkConfigError;
use ddm_schedule::Invalid;

/// The configuration of a [`Residual`] block.
#[derive(Config, Debug)]
pub struct ResidualConfig {
    /// The number of input channels.
    pub channels_in: usize,
    /// The number of output channels.
    pub channels_out: usize,
    /// The number of groups of the group norms; it divides both numbers of channels.
    #[config(default = 8)]
    pub norm_groups: usize,
    /// What the group norms add to the variance.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// The length of the conditioning vector; `None` for a block without one.
    pub condition: Option<usize>,
    /// The dropout rate in training.
    #[config(default = 0.0)]
    pub dropout: f64,
}

/// A residual block: `shortcut(x) + conv(dropout(SiLU(norm(conv(SiLU(norm(x))) + V c))))`.
///
/// The norms are group norms, the convolutions 3×3, the last initialized to 0, so the block is
/// initially its shortcut: the identity, or a 1×1 convolution if the channels change. c is a
/// conditioning vector `[batch, size]` after its activation.
///
/// Source: Ho et al., *Denoising Diffusion Probabilistic Models*, appendix B, arXiv 2006.11239.
#[derive(Module, Debug)]
pub struct Residual {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    dropout: Dropout,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

impl ResidualConfig {
    /// Creates the block on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a number of channels is 0 or not a multiple of the norm groups, the
    /// conditioning vector has length 0, `norm_eps` is not above 0, or dropout is outside [0, 1).
    pub fn init(&self, device: &Device) -> Result<Residual, NetworkConfigError> {
        let (c_in, c_out, groups) = (self.channels_in, self.channels_out, self.norm_groups);
        NetworkConfigError::require_channels("channels", &[c_in, c_out], groups)?;
        if let Some(size) = self.condition {
            NetworkConfigError::require_some("the size of the conditioning vector", size)?;
        }
        let (dropout, allowed) = (self.dropout, "at least 0 and below 1");
        Invalid::require((0.0..1.0).contains(&dropout), "dropout", dropout, allowed)?;
        let norm = |channels| group_norm(groups, channels, self.norm_eps, device);
        let shortcut = || Conv2dConfig::new([c_in, c_out], [1, 1]).init(device);
        Ok(Residual {
            norm1: norm(c_in)?,
            conv1: conv3x3(c_in, c_out).init(device),
            time_emb_proj: self.condition.map(|size| LinearConfig::new(size, c_out).init(device)),
            norm2: norm(c_out)?,
            dropout: DropoutConfig::new(self.dropout).init(),
            conv2: zero_conv3x3(c_out, c_out, device),
            conv_shortcut: (c_in != c_out).then(shortcut),
        })
    }
}

impl Residual {
    /// Maps `[batch, h, w, channels_in]` → `[batch, h, w, channels_out]`, with `condition`
    /// (`[batch or 1, size]`) if the block has a conditioning vector.
    pub fn forward(&self, ops: &Ops, x: Tensor<4>, condition: Option<&Tensor<2>>) -> Tensor<4> {
        let shift = self.time_emb_proj.as_ref().zip(condition);
        let shift =
            shift.map(|(project, condition)| ops.linear_remembered(project, condition.clone()));
        let h = ops.group_norm_silu(&self.norm1, x.clone());
        let h = ops.conv2d_add(&self.conv1, h, shift, None);
        let h = self.dropout.forward(ops.group_norm_silu(&self.norm2, h));
        let shortcut = match &self.conv_shortcut {
            Some(shortcut) => ops.conv2d(shortcut, x),
            None => x,
        };
        ops.conv2d_add(&self.conv2, h, None, Some(shortcut))
    }
}
