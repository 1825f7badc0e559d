//! The configuration of a U-Net.

use burn::config::Config;
use burn::tensor::Device;

use ddm_schedule::Invalid;

use super::{Down, Stage, UNet, Up};
use crate::blocks::{
    Downsample, Residual, ResidualConfig, SelfAttention, SelfAttentionConfig, Upsample, conv3x3,
    group_norm, zero_conv3x3,
};
use crate::{ConditioningConfig, NetworkConfigError, TimestepEmbedding};

/// The configuration of a [`UNet`].
///
/// ```
/// use burn::tensor::Device;
/// use ddm_models::UNetConfig;
/// let config = UNetConfig::new(1, 1).with_channels(vec![30, 60]);
/// let error = config.init(&Device::flex()).unwrap_err();
/// let says = "channels is 30, but must be a multiple of 8, the number of norm groups";
/// assert_eq!(error.to_string(), says);
/// ```
#[derive(Config, Debug)]
pub struct UNetConfig {
    /// The number of channels of x.
    pub in_channels: usize,
    /// The number of channels of the prediction: that of x, or twice that with a learned variance.
    pub out_channels: usize,
    /// The channels of each level, finest first; each level has half the resolution of the last.
    #[config(default = "vec![32, 64]")]
    pub channels: Vec<usize>,
    /// The number of residual blocks per level on the way down; the way up has one more.
    #[config(default = 1)]
    pub blocks: usize,
    /// The levels with attention after each block; 0 is the finest.
    #[config(default = "Vec::new()")]
    pub attention: Vec<usize>,
    /// Whether the middle, at the coarsest resolution, has attention.
    #[config(default = true)]
    pub middle_attention: bool,
    /// The number of channels of an attention head; `None` for one head.
    #[config(default = "Some(32)")]
    pub head_size: Option<usize>,
    /// The number of groups of the group norms; it divides the channels of all levels.
    #[config(default = 8)]
    pub norm_groups: usize,
    /// What the group norms add to the variance.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// The padding of the convolutions that halve the resolution: 1 on all sides, or, with 0, only
    /// one row below and one column on the right, as in DDPM.
    #[config(default = 1)]
    pub downsample_padding: usize,
    /// Whether the cosines come first in the embedding of t.
    #[config(default = false)]
    pub flip_sin_to_cos: bool,
    /// The frequency shift of the embedding of t; see [`TimestepEmbedding`].
    #[config(default = 0.0)]
    pub freq_shift: f64,
    /// The dropout rate in training.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// The number of classes; `None` for a network without a condition.
    pub classes: Option<usize>,
}

impl UNetConfig {
    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, the channels of a level are not a multiple of the norm
    /// groups (or of the head size, if it has attention), `attention` contains a level that does
    /// not exist, `norm_eps` is not above 0, `downsample_padding` is above 1, `freq_shift` is not
    /// below half the channels of the finest level, or dropout is outside [0, 1).
    pub fn init(&self, device: &Device) -> Result<UNet, NetworkConfigError> {
        let (first, last) = self.validate()?;
        let mut skips = vec![first];
        let down = self.down(&mut skips, device)?;
        let middle = Stage {
            residual: self.residual(last, last, device)?,
            attention: self.middle_attention.then(|| self.attention(last, device)).transpose()?,
        };
        let time = TimestepEmbedding::new(2 * first.div_ceil(2))
            .with_flip_sin_to_cos(self.flip_sin_to_cos)
            .with_freq_shift(self.freq_shift);
        let conditioning = ConditioningConfig::new(time, self.condition_size());
        Ok(UNet {
            conditioning: conditioning.with_classes(self.classes).init(device)?,
            input: conv3x3(self.in_channels, first).init(device),
            down,
            middle,
            middle_end: self.residual(last, last, device)?,
            up: self.up(skips, device)?,
            norm: group_norm(self.norm_groups, first, self.norm_eps, device)?,
            output: zero_conv3x3(first, self.out_channels, device),
        })
    }

    /// Creates the levels on the way down, and adds the channels of what they keep to `skips`.
    fn down(
        &self,
        skips: &mut Vec<usize>,
        device: &Device,
    ) -> Result<Vec<Down>, NetworkConfigError> {
        let mut levels = Vec::new();
        let mut channels = self.channels[0];
        for (level, &width) in self.channels.iter().enumerate() {
            let mut stages = Vec::new();
            for _ in 0..self.blocks {
                stages.push(self.stage(level, channels, width, device)?);
                channels = width;
                skips.push(width);
            }
            let downsample = (level + 1 < self.channels.len()).then(|| {
                skips.push(width);
                match self.downsample_padding {
                    0 => Downsample::asymmetric(width, device),
                    _ => Downsample::new(width, device),
                }
            });
            levels.push(Down { stages, downsample });
        }
        Ok(levels)
    }

    /// Creates the levels on the way up, coarsest first, which take `skips` from its end.
    fn up(&self, mut skips: Vec<usize>, device: &Device) -> Result<Vec<Up>, NetworkConfigError> {
        let mut levels = Vec::new();
        let mut channels = self.channels[self.channels.len() - 1];
        for (level, &width) in self.channels.iter().enumerate().rev() {
            let mut stages = Vec::new();
            // One block per skip of this resolution.
            for skip in skips.split_off(skips.len() - (self.blocks + 1)).into_iter().rev() {
                stages.push(self.stage(level, channels + skip, width, device)?);
                channels = width;
            }
            let upsample = (level > 0).then(|| Upsample::new(width, width, device));
            levels.push(Up { stages, upsample });
        }
        Ok(levels)
    }

    fn stage(
        &self,
        level: usize,
        channels_in: usize,
        channels_out: usize,
        device: &Device,
    ) -> Result<Stage, NetworkConfigError> {
        let attends = self.attention.contains(&level);
        Ok(Stage {
            residual: self.residual(channels_in, channels_out, device)?,
            attention: attends.then(|| self.attention(channels_out, device)).transpose()?,
        })
    }

    fn residual(
        &self,
        channels_in: usize,
        channels_out: usize,
        device: &Device,
    ) -> Result<Residual, NetworkConfigError> {
        ResidualConfig::new(channels_in, channels_out)
            .with_norm_groups(self.norm_groups)
            .with_norm_eps(self.norm_eps)
            .with_condition(Some(self.condition_size()))
            .with_dropout(self.dropout)
            .init(device)
    }

    fn attention(
        &self,
        channels: usize,
        device: &Device,
    ) -> Result<SelfAttention, NetworkConfigError> {
        SelfAttentionConfig::new(channels)
            .with_head_size(self.head_size)
            .with_norm_groups(self.norm_groups)
            .with_norm_eps(self.norm_eps)
            .init(device)
    }

    /// Returns the length of the conditioning vector.
    fn condition_size(&self) -> usize {
        4 * self.channels[0]
    }

    /// Checks the settings that the blocks do not check, and returns the channels of the finest and
    /// the coarsest level.
    fn validate(&self) -> Result<(usize, usize), NetworkConfigError> {
        NetworkConfigError::require_some("in_channels", self.in_channels)?;
        NetworkConfigError::require_some("out_channels", self.out_channels)?;
        NetworkConfigError::require_some("blocks", self.blocks)?;
        NetworkConfigError::require_channels("channels", &self.channels, self.norm_groups)?;
        let padding = self.downsample_padding;
        Invalid::require(padding <= 1, "downsample_padding", padding as f64, "0 or 1")?;
        let levels = self.channels.len();
        if let Some(&found) = self.attention.iter().find(|&&level| level >= levels) {
            return Err(NetworkConfigError::Level { what: "attention", found, last: levels - 1 });
        }
        match (self.channels.first(), self.channels.last()) {
            (Some(&first), Some(&last)) => Ok((first, last)),
            _ => Err(NetworkConfigError::Empty { what: "channels" }),
        }
    }
}
