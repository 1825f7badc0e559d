//! The configuration of a U-Net.

use burn::config::Config;
use burn::nn::GroupNormConfig;
use burn::tensor::Device;

use super::{Stage, UNet};
use crate::blocks::{
    Downsample, Residual, ResidualConfig, SelfAttention, Upsample, conv3x3, zero_conv3x3,
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
    /// The number of channels of an attention head.
    #[config(default = 32)]
    pub head_size: usize,
    /// The number of groups of the group norms; it divides the channels of all levels.
    #[config(default = 8)]
    pub norm_groups: usize,
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
    /// not exist, or dropout is outside [0, 1).
    pub fn init(&self, device: &Device) -> Result<UNet, NetworkConfigError> {
        let (first, last) = self.validate()?;
        let size = 4 * first;
        let residual = |channels_in, channels_out| {
            ResidualConfig::new(channels_in, channels_out)
                .with_norm_groups(self.norm_groups)
                .with_condition(Some(size))
                .with_dropout(self.dropout)
                .init(device)
        };
        let attention =
            |channels| SelfAttention::new(channels, self.head_size, self.norm_groups, device);
        let stage = |level: usize, channels_in, channels_out| {
            let attends = self.attention.contains(&level).then(|| attention(channels_out));
            let residual: Residual = residual(channels_in, channels_out)?;
            Ok::<_, NetworkConfigError>(Stage { residual, attention: attends.transpose()? })
        };

        let levels = self.channels.len();
        let (mut down, mut downsample) = (Vec::new(), Vec::new());
        let (mut up, mut upsample) = (Vec::new(), Vec::new());
        let (mut channels, mut skips) = (first, vec![first]);
        for (level, &width) in self.channels.iter().enumerate() {
            for _ in 0..self.blocks {
                down.push(stage(level, channels, width)?);
                channels = width;
                skips.push(width);
            }
            if level + 1 < levels {
                downsample.push(Downsample::new(width, device));
                skips.push(width);
            }
        }
        for (level, &width) in self.channels.iter().enumerate().rev() {
            // One block per skip of this resolution.
            for skip in skips.split_off(skips.len() - (self.blocks + 1)).into_iter().rev() {
                up.push(stage(level, channels + skip, width)?);
                channels = width;
            }
            if level > 0 {
                channels = self.channels[level - 1];
                upsample.push(Upsample::new(width, channels, device));
            }
        }
        let time = TimestepEmbedding::new(2 * first.div_ceil(2));
        Ok(UNet {
            conditioning: ConditioningConfig::new(time, size)
                .with_classes(self.classes)
                .init(device)?,
            input: conv3x3(self.in_channels, first).init(device),
            down,
            downsample,
            middle: Stage {
                residual: residual(last, last)?,
                attention: self.middle_attention.then(|| attention(last)).transpose()?,
            },
            middle_end: residual(last, last)?,
            up,
            upsample,
            norm: GroupNormConfig::new(self.norm_groups, first).init(device),
            output: zero_conv3x3(first, self.out_channels, device),
        })
    }

    /// Checks the settings that the blocks do not check, and returns the channels of the finest and
    /// the coarsest level.
    fn validate(&self) -> Result<(usize, usize), NetworkConfigError> {
        NetworkConfigError::require_some("in_channels", self.in_channels)?;
        NetworkConfigError::require_some("out_channels", self.out_channels)?;
        NetworkConfigError::require_some("blocks", self.blocks)?;
        NetworkConfigError::require_channels("channels", &self.channels, self.norm_groups)?;
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
