//! A text-conditional U-Net from its configuration.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::Device;
use ddm_schedule::Invalid;

use super::config::{AdditionEmbed, UNet2dConditionConfig};
use super::{AddEmbedding, UNet2dCondition};
use crate::blocks::{EmbeddingMlp, group_norm};
use crate::unets::BlockType;
use crate::unets::class_embedding::ClassEmbedding;
use crate::unets::down::Down;
use crate::unets::middle::Middle;
use crate::unets::text_embedding::TextEmbedding;
use crate::{NetworkConfigError, TimestepEmbedding};

/// The parts up to the middle, which a ControlNet has too.
pub(in crate::unets) struct Parts {
    pub(in crate::unets) conv_in: Conv2d,
    pub(in crate::unets) time_embedding: EmbeddingMlp,
    pub(in crate::unets) class_embedding: Option<ClassEmbedding>,
    pub(in crate::unets) add_embedding: Option<AddEmbedding>,
    pub(in crate::unets) encoder_hid_proj: Option<Linear>,
    pub(in crate::unets) down_blocks: Vec<Down>,
    pub(in crate::unets) mid_block: Option<Middle>,
    /// The channels of the skips.
    pub(in crate::unets) skips: Vec<usize>,
}

impl UNet2dConditionConfig {
    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, a list has not one entry per level, the channels of a level are
    /// not a multiple of the norm groups or of the heads, a level is of a kind that this network has
    /// not, or a number is out of range.
    pub fn init(&self, device: &Device) -> Result<UNet2dCondition, NetworkConfigError> {
        let parts = self.parts(device)?;
        let (first, _) = self.ends()?;
        NetworkConfigError::require_some("out_channels", self.out_channels)?;
        let output = conv([first, self.out_channels], self.conv_out_kernel, "conv_out_kernel")?;
        Ok(UNet2dCondition {
            up_blocks: self.up(parts.skips, device)?,
            conv_norm_out: group_norm(self.norm_num_groups, first, self.norm_eps, device)?,
            conv_out: output.with_initializer(Initializer::Zeros).init(device),
            conv_in: parts.conv_in,
            time_embedding: parts.time_embedding,
            class_embedding: parts.class_embedding,
            add_embedding: parts.add_embedding,
            encoder_hid_proj: parts.encoder_hid_proj,
            down_blocks: parts.down_blocks,
            mid_block: parts.mid_block,
            config: self.clone(),
        })
    }

    /// Returns the channels of the skips.
    pub(in crate::unets) fn skip_channels(&self) -> Vec<usize> {
        let mut skips: Vec<_> = self.block_out_channels.first().copied().into_iter().collect();
        for (level, &width) in self.block_out_channels.iter().enumerate() {
            let halves = usize::from(level + 1 < self.block_out_channels.len());
            skips.extend(std::iter::repeat_n(width, self.blocks(level) + halves));
        }
        skips
    }

    /// Creates the parts up to the middle.
    pub(in crate::unets) fn parts(&self, device: &Device) -> Result<Parts, NetworkConfigError> {
        self.validate()?;
        let (first, _) = self.ends()?;
        let size = self.time_size();
        let time = EmbeddingMlp::new(self.sinusoids().size, size, device)?
            .activated(self.act_fn, self.timestep_post_act)
            .with_second(self.time_cond_proj_dim, device)?;
        let class = match self.class_embed {
            Some(class) => class.init(self.sinusoids().size, size, self.act_fn, device)?,
            None => None,
        };
        let project = |from| LinearConfig::new(from, self.text_size()).init(device);
        let mut skips = vec![first];
        let down_blocks = self.down(&mut skips, device)?;
        NetworkConfigError::require_some("in_channels", self.in_channels)?;
        let input = conv([self.in_channels, first], self.conv_in_kernel, "conv_in_kernel")?;
        Ok(Parts {
            conv_in: input.init(device),
            time_embedding: time,
            class_embedding: class,
            add_embedding: self.added(size, device)?,
            encoder_hid_proj: self.encoder_hid_dim.map(project),
            down_blocks,
            mid_block: self.middle(device)?,
            skips,
        })
    }

    /// Returns the embedding of t.
    pub(in crate::unets) fn sinusoids(&self) -> TimestepEmbedding {
        let first = self.block_out_channels.first().copied().unwrap_or_default();
        self.sinusoids_of(first)
    }

    /// Returns an embedding of this size.
    pub(in crate::unets) fn sinusoids_of(&self, size: usize) -> TimestepEmbedding {
        TimestepEmbedding::new(size)
            .with_flip_sin_to_cos(self.flip_sin_to_cos)
            .with_freq_shift(self.freq_shift)
    }

    /// Returns the length of the vector of t.
    pub(in crate::unets) fn time_size(&self) -> usize {
        let first = self.block_out_channels.first().copied().unwrap_or_default();
        self.time_embedding_dim.unwrap_or(4 * first)
    }

    /// Returns the channels of the text, as the first level's attention sees it.
    pub(in crate::unets) fn text_size(&self) -> usize {
        self.cross_attention_dim.at(0).unwrap_or_default()
    }

    /// Returns the channels of the finest and the coarsest level.
    pub(super) fn ends(&self) -> Result<(usize, usize), NetworkConfigError> {
        match (self.block_out_channels.first(), self.block_out_channels.last()) {
            (Some(&first), Some(&last)) => Ok((first, last)),
            _ => Err(NetworkConfigError::Empty { what: "block_out_channels" }),
        }
    }

    /// Checks what the parts do not check.
    fn validate(&self) -> Result<(), NetworkConfigError> {
        self.ends()?;
        let levels = self.block_out_channels.len();
        let lists = [
            ("down_block_types", Some(self.down_block_types.len())),
            ("only_cross_attention", self.only_cross_attention.values()),
            ("layers_per_block", self.layers_per_block.values()),
            ("cross_attention_dim", self.cross_attention_dim.values()),
            ("transformer_layers_per_block", self.transformer_layers_per_block.values()),
            ("attention_head_dim", self.attention_head_dim.values()),
        ];
        for (what, found) in lists {
            NetworkConfigError::require_levels(what, found.unwrap_or(levels), levels)?;
        }
        NetworkConfigError::require_channels(
            "channels",
            &self.block_out_channels,
            self.norm_num_groups,
        )?;
        for level in 0..levels {
            NetworkConfigError::require_some("layers_per_block", self.blocks(level))?;
        }
        NetworkConfigError::require_some("cross_attention_dim", self.text_size())?;
        self.sinusoids().validate()?;
        let padding = self.downsample_padding;
        Invalid::require(padding <= 1, "downsample_padding", padding as f64, "0 or 1")?;
        let plain = |kind: &BlockType| !kind.resamples_by_residuals();
        let mut kinds = self.down_block_types.iter().chain(&self.up_block_types);
        if self.resnet_skip_time_act && kinds.any(plain) {
            let what = "resnet_skip_time_act";
            let allowed = "levels that resample by residual blocks";
            return Err(NetworkConfigError::Needs { what, allowed });
        }
        Ok(())
    }

    fn added(
        &self,
        size: usize,
        device: &Device,
    ) -> Result<Option<AddEmbedding>, NetworkConfigError> {
        Ok(Some(match self.addition_embed {
            None => return Ok(None),
            Some(AdditionEmbed::Text { heads }) => {
                let channels = self.encoder_hid_dim.unwrap_or(self.text_size());
                AddEmbedding::Text(TextEmbedding::new(channels, size, heads, device)?)
            }
            Some(AdditionEmbed::TextTime { sinusoids, size: from }) => {
                self.sinusoids_of(sinusoids).validate()?;
                AddEmbedding::TextTime(EmbeddingMlp::new(from, size, device)?)
            }
        }))
    }
}

/// Returns a convolution of an odd size that keeps height and width.
fn conv(
    channels: [usize; 2],
    size: usize,
    what: &'static str,
) -> Result<Conv2dConfig, NetworkConfigError> {
    Invalid::require(size % 2 == 1, what, size as f64, "odd")?;
    let padding = size / 2;
    let padding = PaddingConfig2d::Explicit(padding, padding, padding, padding);
    Ok(Conv2dConfig::new(channels, [size, size]).with_padding(padding))
}
