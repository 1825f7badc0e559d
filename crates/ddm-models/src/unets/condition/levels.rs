//! The levels of a text-conditional U-Net.

use burn::tensor::Device;

use super::config::{MidBlockType, UNet2dConditionConfig};
use crate::NetworkConfigError;
use crate::blocks::{
    AddedAttentionConfig, ResidualConfig, SelfAttentionConfig, TransformerBlockConfig,
};
use crate::unets::down::{Down, DownConfig, DownsampleBy};
use crate::unets::layer::Attends;
use crate::unets::middle::Middle;
use crate::unets::up::{Up, UpConfig, UpsampleBy};
use crate::unets::{BlockType, PerLevel};

impl UNet2dConditionConfig {
    /// Returns the number of residual blocks of a level on the way down.
    pub(super) fn blocks(&self, level: usize) -> usize {
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

    /// Creates the way down, and adds the channels of what it keeps to `skips`.
    pub(super) fn down(
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

    /// Creates the middle, if there is one.
    pub(super) fn middle(&self, device: &Device) -> Result<Option<Middle>, NetworkConfigError> {
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

    /// Creates the way up, which takes `skips` from its end.
    pub(super) fn up(
        &self,
        mut skips: Vec<usize>,
        device: &Device,
    ) -> Result<Vec<Up>, NetworkConfigError> {
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
