//! The residual block.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Dropout, DropoutConfig, GroupNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::{Activation, Ops, Resample, conv3x3, group_norm, require_scale, scaled, zero_conv3x3};
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
    /// The number of groups of the second norm, which divides the output channels; `None` for that
    /// of the first.
    pub norm_groups_out: Option<usize>,
    /// What the group norms add to the variance.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// The activation.
    #[config(default = "Activation::Silu")]
    pub activation: Activation,
    /// The length of the conditioning vector; `None` for a block without one.
    pub condition: Option<usize>,
    /// Whether the conditioning vector scales and shifts the second norm, instead of being added
    /// before it.
    #[config(default = false)]
    pub scale_shift: bool,
    /// How the block resamples; `None` for one that keeps height and width.
    pub resample: Option<Resample>,
    /// Whether the shortcut is a convolution even where the channels stay the same.
    #[config(default = false)]
    pub conv_shortcut: bool,
    /// What the sum is divided by.
    #[config(default = 1.0)]
    pub output_scale: f64,
    /// The dropout rate in training.
    #[config(default = 0.0)]
    pub dropout: f64,
}

/// A residual block: `(shortcut(x) + conv(dropout(f(norm(conv(f(norm(x))) + V c)))))/s`.
///
/// The norms are group norms, the convolutions 3×3, the last initialized to 0, so the block is
/// initially its shortcut: the identity, or a 1×1 convolution if the channels change. c is a
/// conditioning vector `[batch, size]` after its activation. The activation f is SiLU and the scale s
/// is 1 in most networks. With `scale_shift`, the second norm is `(1 + a) norm(h) + b` instead, with
/// `(a, b) = V c`. With `resample`, x and the first f(norm(x)) are resampled by 2.
///
/// Sources: Ho et al., *Denoising Diffusion Probabilistic Models*, appendix B, arXiv 2006.11239;
/// `scale_shift` and `resample`: Dhariwal & Nichol, *Diffusion Models Beat GANs on Image Synthesis*,
/// sec. 3, arXiv 2105.05233; the scale: Song et al., *Score-Based Generative Modeling through
/// Stochastic Differential Equations*, appendix H, arXiv 2011.13456.
#[derive(Module, Debug)]
pub struct Residual {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    dropout: Dropout,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    #[module(skip)]
    activation: Activation,
    scale_shift: bool,
    #[module(skip)]
    resample: Option<Resample>,
    output_scale: f64,
}

impl ResidualConfig {
    /// Returns the same settings between other numbers of channels.
    pub(crate) fn between(&self, channels_in: usize, channels_out: usize) -> Self {
        Self { channels_in, channels_out, ..self.clone() }
    }

    /// Creates the block on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a number of channels is 0 or not a multiple of the norm groups, the
    /// conditioning vector has length 0, `norm_eps` or the scale is not above 0, or dropout is
    /// outside [0, 1).
    pub fn init(&self, device: &Device) -> Result<Residual, NetworkConfigError> {
        let (c_in, c_out, groups) = (self.channels_in, self.channels_out, self.norm_groups);
        let groups_out = self.norm_groups_out.unwrap_or(groups);
        NetworkConfigError::require_channels("channels", &[c_in], groups)?;
        NetworkConfigError::require_channels("channels", &[c_out], groups_out)?;
        if let Some(size) = self.condition {
            NetworkConfigError::require_some("the size of the conditioning vector", size)?;
        }
        require_scale(self.output_scale)?;
        let (dropout, allowed) = (self.dropout, "at least 0 and below 1");
        Invalid::require((0.0..1.0).contains(&dropout), "dropout", dropout, allowed)?;
        let norm = |groups, channels| group_norm(groups, channels, self.norm_eps, device);
        let shortcut = || Conv2dConfig::new([c_in, c_out], [1, 1]).init(device);
        let projected = if self.scale_shift { 2 * c_out } else { c_out };
        let project = |size| LinearConfig::new(size, projected).init(device);
        Ok(Residual {
            norm1: norm(groups, c_in)?,
            conv1: conv3x3(c_in, c_out).init(device),
            time_emb_proj: self.condition.map(project),
            norm2: norm(groups_out, c_out)?,
            dropout: DropoutConfig::new(self.dropout).init(),
            conv2: zero_conv3x3(c_out, c_out, device),
            conv_shortcut: (self.conv_shortcut || c_in != c_out).then(shortcut),
            activation: self.activation,
            scale_shift: self.scale_shift,
            resample: self.resample,
            output_scale: self.output_scale,
        })
    }
}

impl Residual {
    /// Maps `[batch, h, w, channels_in]` → `[batch, h, w, channels_out]`, or half or twice the height
    /// and width, with `condition` (`[batch or 1, size]`) if the block has a conditioning vector.
    pub fn forward(&self, ops: &Ops, x: Tensor<4>, condition: Option<&Tensor<2>>) -> Tensor<4> {
        let condition = self.time_emb_proj.as_ref().zip(condition);
        let condition =
            condition.map(|(project, condition)| ops.linear_remembered(project, condition.clone()));
        let h = ops.group_norm_activate(self.activation, &self.norm1, x.clone());
        let [x, h] = match self.resample {
            Some(resample) => [x, h].map(|image| resample.forward(ops, image)),
            None => [x, h],
        };
        let h = match condition {
            Some(condition) if self.scale_shift => {
                let h = ops.group_norm(&self.norm2, ops.conv2d(&self.conv1, h));
                ops.activate(self.activation, scale_shift(h, condition))
            }
            shift => {
                let h = ops.conv2d_add(&self.conv1, h, shift, None);
                ops.group_norm_activate(self.activation, &self.norm2, h)
            }
        };
        let shortcut = match &self.conv_shortcut {
            Some(shortcut) => ops.conv2d(shortcut, x),
            None => x,
        };
        let sum = ops.conv2d_add(&self.conv2, self.dropout.forward(h), None, Some(shortcut));
        scaled(sum, self.output_scale)
    }
}

/// Returns `(1 + a) h + b` for `(a, b)` (`[batch or 1, 2 · channels]`).
fn scale_shift(h: Tensor<4>, both: Tensor<2>) -> Tensor<4> {
    let [batch, twice] = both.dims();
    let channels = twice / 2;
    let half = |start| both.clone().narrow(1, start, channels).reshape([batch, 1, 1, channels]);
    h * (half(0) + 1.0) + half(channels)
}
