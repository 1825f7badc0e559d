//! A text-conditional U-Net from its configuration.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::Device;
use ddm_schedule::Invalid;

use super::config::{AdditionEmbed, MidBlockType, UNet2dConditionConfig};
use super::{AddEmbedding, UNet2dCondition};
use crate::blocks::{
    AddedAttentionConfig, ResidualConfig, SelfAttentionConfig, TransformerBlockConfig, group_norm,
};
use crate::unets::down::{Down, DownConfig, DownsampleBy};
use crate::unets::embedding::{ClassEmbedding, EmbeddingMlp, TextEmbedding};
use crate::unets::layer::Attends;
use crate::unets::middle::Middle;
use crate::unets::up::{Up, UpConfig, UpsampleBy};
use crate::unets::{BlockType, PerLevel};
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

    fn ends(&self) -> Result<(usize, usize), NetworkConfigError> {
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

    fn blocks(&self, level: usize) -> usize {
        self.layers_per_block.at(level).unwrap_or_default()
    }

    /// The settings of the residual blocks of a level, or of a middle.
    fn residual(&self, output_scale: f64) -> ResidualConfig {
        let times = if self.class_embeddings_concat { 2 } else { 1 };
        ResidualConfig::new(0, 0)
            .with_norm_groups(self.norm_num_groups)
            .with_norm_eps(self.norm_eps)
            .with_activation(self.act_fn)
            .with_condition(Some(times * self.time_size()))
            .with_scale_shift(self.resnet_time_scale_shift)
            .with_dropout(self.dropout)
            .with_output_scale(output_scale)
    }

    fn scale_of(&self, kind: BlockType) -> f64 {
        if kind.resamples_by_residuals() { self.resnet_out_scale_factor } else { 1.0 }
    }

    /// The attention of a level: `heads` of transformers, `head_size` of the other kinds.
    fn attends(&self, kind: BlockType, at: &Place) -> Result<Attends, NetworkConfigError> {
        let level = at.level;
        let only = self.only_cross_attention.at(level).unwrap_or_default();
        Ok(match kind {
            BlockType::Plain | BlockType::Resnet => Attends::No,
            BlockType::Attention => Attends::Pixels(
                SelfAttentionConfig::new(at.channels)
                    .with_head_size(Some(at.head_size))
                    .with_norm_groups(self.norm_num_groups)
                    .with_norm_eps(self.norm_eps),
            ),
            BlockType::CrossAttention => Attends::transformer(
                TransformerBlockConfig::new(at.channels, at.heads, self.context(level))
                    .with_only_cross_attention(only && !at.is_middle)
                    .with_upcast_attention(self.upcast_attention),
                self.norm_num_groups,
                self.use_linear_projection,
                at.layers.clone(),
            ),
            BlockType::SimpleCrossAttention => Attends::Added(
                AddedAttentionConfig::new(at.channels, self.context(level), at.head_size)
                    .with_norm_groups(self.norm_num_groups)
                    .with_context_norm(self.cross_attention_norm)
                    .with_only_context(only),
            ),
            BlockType::Skip | BlockType::AttentionSkip => {
                let (what, allowed) = ("a level beside a pyramid of images", "a `UNet2d`");
                return Err(NetworkConfigError::Needs { what, allowed });
            }
        })
    }

    fn context(&self, level: usize) -> usize {
        self.cross_attention_dim.at(level).unwrap_or_default()
    }

    fn heads(&self, level: usize) -> usize {
        self.attention_head_dim.at(level).unwrap_or_default()
    }

    fn down(
        &self,
        skips: &mut Vec<usize>,
        device: &Device,
    ) -> Result<Vec<Down>, NetworkConfigError> {
        let last = self.block_out_channels.len() - 1;
        let mut channels = self.block_out_channels[0];
        let mut levels = Vec::new();
        for (level, &width) in self.block_out_channels.iter().enumerate() {
            let (kind, blocks) = (self.down_block_types[level], self.blocks(level));
            let layers = self.transformer_layers_per_block.at(level);
            let at = Place {
                level,
                channels: width,
                heads: self.heads(level),
                head_size: self.heads(level),
                layers: per_layer("transformer_layers_per_block", layers, blocks)?,
                is_middle: false,
            };
            let downsample = match kind.resamples_by_residuals() {
                true => DownsampleBy::Residual,
                false => DownsampleBy::Conv { padding: self.downsample_padding },
            };
            let config = DownConfig {
                residual: self.residual(self.scale_of(kind)),
                attends: self.attends(kind, &at)?,
                channels_in: channels,
                channels_out: width,
                blocks,
                downsample: (level < last).then_some(downsample),
            };
            levels.push(config.init(skips, device)?);
            channels = width;
        }
        Ok(levels)
    }

    fn middle(&self, device: &Device) -> Result<Option<Middle>, NetworkConfigError> {
        let Some(kind) = self.mid_block_type else { return Ok(None) };
        let (_, channels) = self.ends()?;
        let level = self.block_out_channels.len() - 1;
        let residual = self.residual(self.mid_block_scale_factor).between(channels, channels);
        let (kind, blocks) = match kind {
            MidBlockType::Plain => (BlockType::Plain, 1),
            MidBlockType::CrossAttention => (BlockType::CrossAttention, 2),
            MidBlockType::SimpleCrossAttention => (BlockType::SimpleCrossAttention, 2),
        };
        let layers = self.transformer_layers_per_block.at(level);
        let at = Place {
            level,
            channels,
            heads: self.heads(level),
            head_size: self.heads(level),
            layers: per_layer("transformer_layers_per_block", layers, 1)?,
            is_middle: true,
        };
        let attends = match self.attends(kind, &at)? {
            Attends::Added(config) => {
                let all = match self.only_cross_attention {
                    PerLevel::All(only) => only,
                    PerLevel::Each(_) => false,
                };
                let only = self.mid_block_only_cross_attention.unwrap_or(all);
                Attends::Added(config.with_only_context(only))
            }
            other => other,
        };
        Middle::new(&residual, blocks, &attends, device).map(Some)
    }

    fn up(&self, mut skips: Vec<usize>, device: &Device) -> Result<Vec<Up>, NetworkConfigError> {
        let levels = self.block_out_channels.len();
        NetworkConfigError::require_levels("up_block_types", self.up_block_types.len(), levels)?;
        if let Some(layers) = &self.reverse_transformer_layers_per_block {
            let what = "reverse_transformer_layers_per_block";
            NetworkConfigError::require_levels(what, layers.len(), levels)?;
        }
        let (_, mut channels) = self.ends()?;
        let mut up = Vec::new();
        for (step, &kind) in self.up_block_types.iter().enumerate() {
            let level = levels - 1 - step;
            let (width, blocks) = (self.block_out_channels[level], self.blocks(level) + 1);
            let layers = match &self.reverse_transformer_layers_per_block {
                Some(layers) => per_layer(
                    "reverse_transformer_layers_per_block",
                    layers.get(step).cloned(),
                    blocks,
                )?,
                None => {
                    let layers = self.transformer_layers_per_block.at(level);
                    per_layer("transformer_layers_per_block", layers, blocks)?
                }
            };
            let at = Place {
                level,
                channels: width,
                heads: self.heads(level),
                // As in diffusers: this list is not reversed on the way up.
                head_size: self.heads(step),
                layers,
                is_middle: false,
            };
            let upsample = match kind.resamples_by_residuals() {
                true => UpsampleBy::Residual,
                false => UpsampleBy::Conv,
            };
            let config = UpConfig {
                residual: self.residual(self.scale_of(kind)),
                attends: self.attends(kind, &at)?,
                channels_in: channels,
                channels_out: width,
                blocks,
                upsample: (level > 0).then_some(upsample),
            };
            up.push(config.init(&mut skips, device)?);
            channels = width;
        }
        Ok(up)
    }
}

/// Where attention stands, and its sizes.
struct Place {
    level: usize,
    channels: usize,
    heads: usize,
    head_size: usize,
    /// The transformer blocks after each residual block.
    layers: Vec<usize>,
    is_middle: bool,
}

/// Returns the transformer blocks of each layer of a level.
fn per_layer(
    what: &'static str,
    layers: Option<PerLevel<usize>>,
    blocks: usize,
) -> Result<Vec<usize>, NetworkConfigError> {
    let layers = layers.unwrap_or(PerLevel::All(1));
    let found = layers.values().unwrap_or(blocks);
    if found < blocks {
        return Err(NetworkConfigError::Layers { what, found, blocks });
    }
    Ok((0..blocks).filter_map(|block| layers.at(block)).collect())
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
