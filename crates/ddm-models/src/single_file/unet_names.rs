//! The names of U-Nets in the repository of latent diffusion, and those of diffusers.
//!
//! There, the way down is one list of blocks, `input_blocks.N`, in which 0 is the first convolution,
//! and the way up another, `output_blocks.N`. Each block is a list: a residual block, or a convolution
//! that halves the resolution; the transformer, if the level has one; on the way up, a convolution that
//! doubles it.

use std::collections::BTreeMap;

use ddm_weights::{Tensors, WeightsError};

use super::renamed::{layer_and_kind, new_name};
use crate::{BlockType, MidBlockType, UNet2dConditionConfig};

/// Layers outside of the blocks.
const OUTSIDE: [(&str, &str); 6] = [
    ("input_blocks.0.0", "conv_in"),
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb", "class_embedding"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
];

/// The layers of further conditions: SDXL's sizes and pooled text.
const ADDED: [(&str, &str); 2] =
    [("label_emb.0.0", "add_embedding.linear_1"), ("label_emb.0.2", "add_embedding.linear_2")];

/// The same layers where they are for a class vector.
const CLASS: [(&str, &str); 2] =
    [("label_emb.0.0", "class_embedding.linear_1"), ("label_emb.0.2", "class_embedding.linear_2")];

/// Layers of a residual block, or of a convolution that halves the resolution.
const RESIDUAL: [(&str, &str); 6] = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// Returns the tensors by the names of diffusers. Names that are not known stay.
pub(super) fn as_in_diffusers(
    file: &Tensors,
    config: &UNet2dConditionConfig,
) -> Result<Tensors, WeightsError> {
    let blocks = blocks(config);
    let embedding = if config.addition_embed.is_some() { &ADDED } else { &CLASS };
    file.rename(|name| {
        let (layer, kind) = layer_and_kind(name);
        let outside = new_name(&OUTSIDE, layer).or_else(|| new_name(embedding, layer));
        let new = outside.map(|new| format!("{new}.{kind}"));
        Some(new.or_else(|| inside(&blocks, name)).unwrap_or_else(|| name.to_owned()))
    })
}

/// Returns the new name of a tensor in a block.
fn inside(blocks: &BTreeMap<String, String>, name: &str) -> Option<String> {
    // `input_blocks.4.1`, or `middle_block.1`.
    let dots = if name.starts_with("middle_block.") { 2 } else { 3 };
    let (end, _) = name.match_indices('.').nth(dots - 1)?;
    let (block, rest) = (blocks.get(&name[..end])?, &name[end + 1..]);
    let (layer, kind) = rest.rsplit_once('.')?;
    let is_residual = block.contains(".resnets.");
    let layer = match layer {
        "op" if block.contains(".downsamplers.") => "conv",
        layer if is_residual => new_name(&RESIDUAL, layer)?,
        layer => layer,
    };
    Some(format!("{block}.{layer}.{kind}"))
}

/// Returns the name of each block in diffusers.
fn blocks(config: &UNet2dConditionConfig) -> BTreeMap<String, String> {
    let levels = config.block_out_channels.len();
    let blocks = |level| config.layers_per_block.at(level).unwrap_or_default();
    let attends = |kinds: &[BlockType], level| kinds.get(level) == Some(&BlockType::CrossAttention);
    let mut names = BTreeMap::new();
    let mut number = 1;
    for level in 0..levels {
        for block in 0..blocks(level) {
            let [residual, attention] = layers_of("down_blocks", level, block);
            names.insert(format!("input_blocks.{number}.0"), residual);
            if attends(&config.down_block_types, level) {
                names.insert(format!("input_blocks.{number}.1"), attention);
            }
            number += 1;
        }
        if level + 1 < levels {
            let down = format!("down_blocks.{level}.downsamplers.0");
            names.insert(format!("input_blocks.{number}.0"), down);
            number += 1;
        }
    }
    let mut number = 0;
    for level in 0..levels {
        // As many as on the way down, and one more.
        let last = blocks(levels - 1 - level);
        let attends = attends(&config.up_block_types, level);
        for block in 0..=last {
            let [residual, attention] = layers_of("up_blocks", level, block);
            names.insert(format!("output_blocks.{number}.0"), residual);
            if attends {
                names.insert(format!("output_blocks.{number}.1"), attention);
            }
            if block == last && level + 1 < levels {
                let place = 1 + usize::from(attends);
                let up = format!("up_blocks.{level}.upsamplers.0");
                names.insert(format!("output_blocks.{number}.{place}"), up);
            }
            number += 1;
        }
    }
    let middle: &[&str] = match config.mid_block_type {
        None => &[],
        Some(MidBlockType::Plain) => &["resnets.0"],
        Some(_) => &["resnets.0", "attentions.0", "resnets.1"],
    };
    for (number, layer) in middle.iter().enumerate() {
        names.insert(format!("middle_block.{number}"), format!("mid_block.{layer}"));
    }
    names
}

fn layers_of(way: &str, level: usize, block: usize) -> [String; 2] {
    ["resnets", "attentions"].map(|kind| format!("{way}.{level}.{kind}.{block}"))
}
