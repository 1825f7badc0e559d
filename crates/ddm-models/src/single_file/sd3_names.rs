//! The names of Stable Diffusion 3's transformer in Stability AI's repository, and those of diffusers.
//!
//! There, queries, keys and values are one layer; and where a modulation is a shift and a scale alone,
//! the shift comes first.

use ddm_weights::{Tensors, WeightsError};

use super::renamed::{Renamed, layer_and_kind, new_name};
use crate::transformer::Sd3TransformerConfig;

/// The table of positions, which is no layer.
const POSITIONS: (&str, &str) = ("pos_embed", "pos_embed.pos_embed");

/// Layers outside of the blocks.
pub(super) const OUTSIDE: [(&str, &str); 8] = [
    ("x_embedder.proj", "pos_embed.proj"),
    ("t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"),
    ("y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"),
    ("y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"),
    ("context_embedder", "context_embedder"),
    ("final_layer.linear", "proj_out"),
    (LAST_MODULATION, "norm_out.linear"),
];

pub(super) const LAST_MODULATION: &str = "final_layer.adaLN_modulation.1";

/// Layers of a block.
pub(super) const INSIDE: [(&str, &str); 15] = [
    ("x_block.attn.ln_q", "attn.norm_q"),
    ("x_block.attn.ln_k", "attn.norm_k"),
    ("x_block.attn.proj", "attn.to_out.0"),
    ("x_block.attn2.ln_q", "attn2.norm_q"),
    ("x_block.attn2.ln_k", "attn2.norm_k"),
    ("x_block.attn2.proj", "attn2.to_out.0"),
    ("x_block.adaLN_modulation.1", "norm1.linear"),
    ("x_block.mlp.fc1", "ff.net.0.proj"),
    ("x_block.mlp.fc2", "ff.net.2"),
    ("context_block.attn.ln_q", "attn.norm_added_q"),
    ("context_block.attn.ln_k", "attn.norm_added_k"),
    ("context_block.attn.proj", "attn.to_add_out"),
    (TEXT_MODULATION, "norm1_context.linear"),
    ("context_block.mlp.fc1", "ff_context.net.0.proj"),
    ("context_block.mlp.fc2", "ff_context.net.2"),
];

pub(super) const TEXT_MODULATION: &str = "context_block.adaLN_modulation.1";

/// Layers of a block that are three of diffusers', one above the other.
pub(super) const FUSED: [(&str, &[&str]); 3] = [
    ("x_block.attn.qkv", &["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("x_block.attn2.qkv", &["attn2.to_q", "attn2.to_k", "attn2.to_v"]),
    ("context_block.attn.qkv", &["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
];

/// Returns the tensors by the names of diffusers. Names that are not known stay.
pub(super) fn as_in_diffusers(
    file: &Tensors,
    config: &Sd3TransformerConfig,
) -> Result<Tensors, WeightsError> {
    let last = config.num_layers.checked_sub(1);
    let mut tensors = Renamed::of(file)?;
    for (name, view) in file.iter() {
        if name == POSITIONS.0 {
            tensors.add(name, POSITIONS.1.to_owned(), view.clone())?;
            continue;
        }
        let (layer, kind) = layer_and_kind(name);
        if let Some(new) = new_name(&OUTSIDE, layer) {
            let swaps = layer == LAST_MODULATION;
            let view = if swaps { view.halves_swapped(0)? } else { view.clone() };
            tensors.add(name, format!("{new}.{kind}"), view)?;
            continue;
        }
        let Some((number, layer)) = in_block(layer) else {
            tensors.add(name, name.to_owned(), view.clone())?;
            continue;
        };
        let block = format!("transformer_blocks.{number}");
        if let Some((_, parts)) = FUSED.iter().find(|(old, _)| *old == layer) {
            tensors.add_parts(name, (&block, parts, kind), view.chunks::<3>(0)?)?;
            continue;
        }
        // The text of the last block is only seen, and has no more than a shift and a scale.
        let swaps = layer == TEXT_MODULATION && number.parse().ok() == last;
        let view = if swaps { view.halves_swapped(0)? } else { view.clone() };
        let layer = new_name(&INSIDE, layer).unwrap_or(layer);
        tensors.add(name, format!("{block}.{layer}.{kind}"), view)?;
    }
    Ok(tensors.finish())
}

/// Returns the number of the block in which a layer is, and the layer's name in it.
fn in_block(layer: &str) -> Option<(&str, &str)> {
    layer.strip_prefix("joint_blocks.")?.split_once('.')
}
