//! The config of a U-Net, from the shapes of its weights.

use super::shapes::Shapes;
use super::{Layout, SingleFileError};
use crate::{AdditionEmbed, BlockType, ClassEmbed, PerLevel, UNet2dConditionConfig};

/// The sinusoids of each size in SDXL.
const SINUSOIDS: usize = 256;

/// The channels of an attention head, where not their number is the same on all levels.
const HEAD: usize = 64;

/// What the weights tell of a level.
#[derive(Default)]
struct Level {
    channels: usize,
    blocks: usize,
    /// The number of transformer blocks after each residual block.
    depth: usize,
    /// Whether the first attention of a transformer block, too, is to the text.
    only_text: bool,
}

/// Reads the config.
pub(super) fn read(
    shapes: &Shapes<'_>,
    layout: Layout,
) -> Result<UNet2dConditionConfig, SingleFileError> {
    let mut levels = levels(shapes)?;
    let middle = "middle_block.1";
    // The middle has as many transformer blocks as the last level, which may have none of its own.
    if let Some(last) = levels.last_mut()
        && last.depth == 0
    {
        last.depth = shapes.count(&format!("{middle}.transformer_blocks."));
    }
    let kinds: Vec<BlockType> =
        levels.iter().enumerate().map(|(i, _)| kind(shapes, &levels, i)).collect();
    let channels: Vec<usize> = levels.iter().map(|level| level.channels).collect();
    let heads = match layout {
        Layout::StableDiffusion1 | Layout::Upscaler => PerLevel::All(8),
        _ => PerLevel::Each(channels.iter().map(|channels| (channels / HEAD).max(1)).collect()),
    };
    let vector = |what| shapes.axis(what, 1);
    let (vectors, table) = ("label_emb.0.0.weight", "label_emb.weight");
    let added = matches!(layout, Layout::Xl | Layout::XlRefiner);
    let context = shapes.axis(&format!("{middle}.transformer_blocks.0.attn2.to_k.weight"), 1)?;
    Ok(UNet2dConditionConfig {
        in_channels: shapes.axis("input_blocks.0.0.weight", 1)?,
        out_channels: shapes.axis("out.2.weight", 0)?,
        up_block_types: kinds.iter().rev().copied().collect(),
        down_block_types: kinds,
        only_cross_attention: per_level(levels.iter().map(|level| level.only_text).collect()),
        block_out_channels: channels,
        layers_per_block: per_level(levels.iter().map(|level| level.blocks).collect()),
        cross_attention_dim: PerLevel::All(context),
        transformer_layers_per_block: match per_level(
            levels.iter().map(|level| level.depth.max(1)).collect(),
        ) {
            PerLevel::All(depth) => PerLevel::All(PerLevel::All(depth)),
            PerLevel::Each(depths) => {
                PerLevel::Each(depths.into_iter().map(PerLevel::All).collect())
            }
        },
        attention_head_dim: heads,
        use_linear_projection: shapes.rank(&format!("{middle}.proj_in.weight"))? == 2,
        addition_embed: match added && shapes.has(vectors) {
            true => Some(AdditionEmbed::TextTime { sinusoids: SINUSOIDS, size: vector(vectors)? }),
            false => None,
        },
        class_embed: match () {
            () if shapes.has(table) => Some(ClassEmbed::Table(shapes.axis(table, 0)?)),
            () if !added && shapes.has(vectors) => Some(ClassEmbed::Projection(vector(vectors)?)),
            () => None,
        },
        // In half precision, that of Stable Diffusion 2 overflows.
        upcast_attention: layout == Layout::StableDiffusion2,
        ..Default::default()
    })
}

/// Returns the levels on the way down.
fn levels(shapes: &Shapes<'_>) -> Result<Vec<Level>, SingleFileError> {
    let mut levels = Vec::new();
    let mut level = Level::default();
    for number in 1..shapes.count("input_blocks.") {
        let block = format!("input_blocks.{number}");
        if shapes.has(&format!("{block}.0.op.weight")) {
            levels.push(std::mem::take(&mut level));
            continue;
        }
        level.channels = shapes.axis(&format!("{block}.0.in_layers.2.weight"), 0)?;
        level.blocks += 1;
        let transformers = format!("{block}.1.transformer_blocks.");
        level.depth = level.depth.max(shapes.count(&transformers));
        if level.depth > 0 {
            let seen = shapes.axis(&format!("{transformers}0.attn1.to_k.weight"), 1)?;
            level.only_text = seen != level.channels;
        }
    }
    levels.push(level);
    Ok(levels)
}

/// Returns the kind of a level: whether its first block is followed by a transformer.
fn kind(shapes: &Shapes<'_>, levels: &[Level], level: usize) -> BlockType {
    let before: usize = levels[..level].iter().map(|level| level.blocks + 1).sum();
    let first = format!("input_blocks.{}.1.proj_in.weight", before + 1);
    if shapes.has(&first) { BlockType::CrossAttention } else { BlockType::Plain }
}

/// Returns one value for all levels, if they have the same.
fn per_level<T: Clone + PartialEq>(values: Vec<T>) -> PerLevel<T> {
    match values.first() {
        Some(first) if values.iter().all(|value| value == first) => PerLevel::All(first.clone()),
        _ => PerLevel::Each(values),
    }
}
