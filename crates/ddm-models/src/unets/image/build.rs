//! A U-Net without a text from its configuration.

use burn::module::Param;
use burn::nn::EmbeddingConfig;
use burn::tensor::{Device, Distribution, Tensor};
use ddm_schedule::Invalid;

use super::config::{TimeEmbedding, UNet2dConfig};
use super::skip::SkipConfig;
use super::time::{Fourier, TimeProjection};
use super::{DownLevel, UNet2d, UpLevel};
use crate::blocks::{
    Activation, EmbeddingMlp, ResidualConfig, SelfAttentionConfig, conv3x3, group_norm,
    zero_conv3x3,
};
use crate::unets::down::{DownConfig, DownsampleBy};
use crate::unets::layer::Attends;
use crate::unets::middle::Middle;
use crate::unets::up::{UpConfig, UpsampleBy};
use crate::unets::{BlockType, ClassEmbed};
use crate::{NetworkConfigError, TimestepEmbedding};

/// What the sums of levels beside a pyramid of images are divided by.
const SKIP_SCALE: f64 = std::f64::consts::SQRT_2;

impl UNet2dConfig {
    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, a list has not one entry per level, the channels of a level are
    /// not a multiple of the norm groups or of the head size, a level is of a kind that this network
    /// has not, or a number is out of range.
    pub fn init(&self, device: &Device) -> Result<UNet2d, NetworkConfigError> {
        let (first, last) = self.validate()?;
        let size = self.time_size();
        let sinusoids = self.projected();
        let time_proj = match self.time_embedding_type {
            TimeEmbedding::Positional => None,
            TimeEmbedding::Fourier => {
                // The scale of the frequencies that NCSN++ was trained with.
                let weight = Tensor::random([first], Distribution::Normal(0.0, 16.0), device);
                Some(TimeProjection::Fourier(Fourier { weight: Param::from_tensor(weight) }))
            }
            TimeEmbedding::Learned(timesteps) => {
                NetworkConfigError::require_some("num_train_timesteps", timesteps)?;
                let table = EmbeddingConfig::new(timesteps, first).init(device);
                Some(TimeProjection::Learned(table))
            }
        };
        if self.null_class && !matches!(self.class_embed, Some(ClassEmbed::Table(2..))) {
            let (what, allowed) = ("a null class", "a table of it and at least one class");
            return Err(NetworkConfigError::Needs { what, allowed });
        }
        let class_embedding = match self.class_embed {
            Some(class) => class.init(sinusoids, size, Activation::Silu, device)?,
            None => None,
        };
        let mut skips = vec![first];
        let down_blocks = self.down(&mut skips, device)?;
        let middle = || {
            let scale = self.mid_block_scale_factor;
            let residual = self.residual(scale).between(last, last);
            let groups = self.attn_norm_num_groups.unwrap_or(self.norm_num_groups);
            let attends = match self.add_attention {
                true => {
                    // diffusers leaves the norm out where no groups are given for it.
                    let norm = self.attn_norm_num_groups.is_some() || !self.resnet_time_scale_shift;
                    Attends::Pixels(self.attention(last, groups, scale).with_norm(norm))
                }
                false => Attends::No,
            };
            Middle::new(&residual, 2, &attends, device)
        };
        Ok(UNet2d {
            conv_in: conv3x3(self.in_channels, first).init(device),
            time_proj,
            time_embedding: EmbeddingMlp::new(sinusoids, size, device)?,
            class_embedding,
            down_blocks,
            mid_block: self.mid_block.then(middle).transpose()?,
            up_blocks: self.up(skips, device)?,
            conv_norm_out: group_norm(self.norm_num_groups, first, self.norm_eps, device)?,
            conv_out: zero_conv3x3(first, self.out_channels, device),
            config: self.clone(),
        })
    }

    /// Returns the sinusoids of t.
    pub(super) fn sinusoids(&self) -> TimestepEmbedding {
        let first = self.block_out_channels.first().copied().unwrap_or_default();
        TimestepEmbedding::new(first)
            .with_flip_sin_to_cos(self.flip_sin_to_cos)
            .with_freq_shift(self.freq_shift)
    }

    /// Returns the length of the conditioning vector.
    pub(super) fn time_size(&self) -> usize {
        let first = self.block_out_channels.first().copied().unwrap_or_default();
        self.time_embedding_dim.unwrap_or(4 * first)
    }

    /// Returns the length of the projection of t.
    fn projected(&self) -> usize {
        let first = self.block_out_channels.first().copied().unwrap_or_default();
        if self.time_embedding_type == TimeEmbedding::Fourier { 2 * first } else { first }
    }

    /// Checks what the parts do not check, and returns the channels of the finest and the coarsest
    /// level.
    fn validate(&self) -> Result<(usize, usize), NetworkConfigError> {
        NetworkConfigError::require_some("in_channels", self.in_channels)?;
        NetworkConfigError::require_some("out_channels", self.out_channels)?;
        NetworkConfigError::require_some("layers_per_block", self.layers_per_block)?;
        let (what, groups) = ("channels", self.norm_num_groups);
        NetworkConfigError::require_channels(what, &self.block_out_channels, groups)?;
        let levels = self.block_out_channels.len();
        for (what, kinds) in
            [("down_block_types", &self.down_block_types), ("up_block_types", &self.up_block_types)]
        {
            NetworkConfigError::require_levels(what, kinds.len(), levels)?;
            let pyramid = |kind: &BlockType| kind.is_beside_pyramid();
            if kinds.iter().any(pyramid) && [self.in_channels, self.out_channels] != [3, 3] {
                let what = "a level beside a pyramid of images";
                return Err(NetworkConfigError::Needs { what, allowed: "images of 3 channels" });
            }
        }
        if self.time_embedding_type == TimeEmbedding::Positional {
            self.sinusoids().validate()?;
        }
        let padding = self.downsample_padding;
        Invalid::require(padding <= 1, "downsample_padding", padding as f64, "0 or 1")?;
        Ok((self.block_out_channels[0], self.block_out_channels[levels - 1]))
    }

    fn residual(&self, output_scale: f64) -> ResidualConfig {
        ResidualConfig::new(0, 0)
            .with_norm_groups(self.norm_num_groups)
            .with_norm_eps(self.norm_eps)
            .with_activation(self.act_fn)
            .with_condition(Some(self.time_size()))
            .with_scale_shift(self.resnet_time_scale_shift)
            .with_dropout(self.dropout)
            .with_output_scale(output_scale)
    }

    fn attention(&self, channels: usize, groups: usize, scale: f64) -> SelfAttentionConfig {
        SelfAttentionConfig::new(channels)
            .with_head_size(self.attention_head_dim)
            .with_norm_groups(groups)
            .with_norm_eps(self.norm_eps)
            .with_output_scale(scale)
    }

    /// The attention of a level of this kind; an error for kinds that this network has not.
    fn attends(&self, kind: BlockType, channels: usize) -> Result<Attends, NetworkConfigError> {
        match kind {
            BlockType::Attention => {
                Ok(Attends::Pixels(self.attention(channels, self.norm_num_groups, 1.0)))
            }
            BlockType::CrossAttention | BlockType::SimpleCrossAttention => {
                let what = "a level that attends to a text";
                Err(NetworkConfigError::Needs { what, allowed: "a `UNet2dCondition`" })
            }
            _ => Ok(Attends::No),
        }
    }

    /// The settings of a level beside a pyramid of images.
    fn skip(&self, kind: BlockType, [from, to]: [usize; 2], blocks: usize) -> SkipConfig {
        let attends = kind == BlockType::AttentionSkip;
        SkipConfig {
            residual: self.residual(SKIP_SCALE),
            attention: attends.then(|| self.attention(to, 32, SKIP_SCALE)),
            channels_in: from,
            channels_out: to,
            blocks,
            resamples: false,
        }
    }

    fn down(
        &self,
        skips: &mut Vec<usize>,
        device: &Device,
    ) -> Result<Vec<DownLevel>, NetworkConfigError> {
        let last = self.block_out_channels.len() - 1;
        let (mut channels, blocks) = (self.block_out_channels[0], self.layers_per_block);
        let mut levels = Vec::new();
        for (level, &width) in self.block_out_channels.iter().enumerate() {
            let kind = self.down_block_types[level];
            if kind.is_beside_pyramid() {
                let config = self.skip(kind, [channels, width], blocks);
                let config = SkipConfig { resamples: level < last, ..config };
                levels.push(DownLevel::Skip(config.down(skips, device)?));
            } else {
                let by_residual = kind == BlockType::Attention && self.resnet_downsample;
                let downsample = match kind.resamples_by_residuals() || by_residual {
                    true => DownsampleBy::Residual,
                    false => DownsampleBy::Conv { padding: self.downsample_padding },
                };
                let config = DownConfig {
                    residual: self.residual(1.0),
                    attends: self.attends(kind, width)?,
                    channels_in: channels,
                    channels_out: width,
                    blocks,
                    downsample: (level < last).then_some(downsample),
                };
                levels.push(DownLevel::Plain(config.init(skips, device)?));
            }
            channels = width;
        }
        Ok(levels)
    }

    fn up(
        &self,
        mut skips: Vec<usize>,
        device: &Device,
    ) -> Result<Vec<UpLevel>, NetworkConfigError> {
        let last = self.block_out_channels.len() - 1;
        let (mut channels, blocks) = (self.block_out_channels[last], self.layers_per_block + 1);
        let mut levels = Vec::new();
        for (step, &kind) in self.up_block_types.iter().enumerate() {
            let width = self.block_out_channels[last - step];
            if kind.is_beside_pyramid() {
                let config = self.skip(kind, [channels, width], blocks);
                let config = SkipConfig { resamples: step < last, ..config };
                levels.push(UpLevel::Skip(config.up(&mut skips, device)?));
            } else {
                let by_residual = kind == BlockType::Attention && self.resnet_upsample;
                let upsample = match kind.resamples_by_residuals() || by_residual {
                    true => UpsampleBy::Residual,
                    false => UpsampleBy::Conv,
                };
                let config = UpConfig {
                    residual: self.residual(1.0),
                    attends: self.attends(kind, width)?,
                    channels_in: channels,
                    channels_out: width,
                    blocks,
                    upsample: (step < last).then_some(upsample),
                };
                levels.push(UpLevel::Plain(config.init(&mut skips, device)?));
            }
            channels = width;
        }
        Ok(levels)
    }
}
