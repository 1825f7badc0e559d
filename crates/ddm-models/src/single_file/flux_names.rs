//! The names of Flux in Black Forest Labs' repository, and those of diffusers.
//!
//! There, queries, keys and values are one layer; in the blocks of one sequence also the first layer of
//! the MLP. The shift of the last modulation comes first.

use ddm_weights::{TensorView, Tensors, WeightsError};

use super::renamed::{Renamed, layer_and_kind, new_name};
use crate::transformer::FluxTransformerConfig;

/// Names outside of the blocks, and those of diffusers.
pub(super) const OUTSIDE: [(&str, &str); 10] = [
    ("img_in", "x_embedder"),
    ("txt_in", "context_embedder"),
    ("time_in.in_layer", "time_text_embed.timestep_embedder.linear_1"),
    ("time_in.out_layer", "time_text_embed.timestep_embedder.linear_2"),
    ("vector_in.in_layer", "time_text_embed.text_embedder.linear_1"),
    ("vector_in.out_layer", "time_text_embed.text_embedder.linear_2"),
    ("guidance_in.in_layer", "time_text_embed.guidance_embedder.linear_1"),
    ("guidance_in.out_layer", "time_text_embed.guidance_embedder.linear_2"),
    ("final_layer.linear", "proj_out"),
    (SWAPPED, "norm_out.linear"),
];

/// The one layer whose two halves, shift and scale, are the other way round in diffusers.
pub(super) const SWAPPED: &str = "final_layer.adaLN_modulation.1";

/// Names in `double_blocks.i` and in `single_blocks.i`.
pub(super) const INSIDE: [(&str, &str); 16] = [
    ("img_mod.lin", "norm1.linear"),
    ("txt_mod.lin", "norm1_context.linear"),
    ("img_attn.proj", "attn.to_out.0"),
    ("txt_attn.proj", "attn.to_add_out"),
    ("img_attn.norm.query_norm", "attn.norm_q"),
    ("img_attn.norm.key_norm", "attn.norm_k"),
    ("txt_attn.norm.query_norm", "attn.norm_added_q"),
    ("txt_attn.norm.key_norm", "attn.norm_added_k"),
    ("img_mlp.0", "ff.net.0.proj"),
    ("img_mlp.2", "ff.net.2"),
    ("txt_mlp.0", "ff_context.net.0.proj"),
    ("txt_mlp.2", "ff_context.net.2"),
    ("modulation.lin", "norm.linear"),
    ("norm.query_norm", "attn.norm_q"),
    ("norm.key_norm", "attn.norm_k"),
    ("linear2", "proj_out"),
];

/// Layers that hold several of diffusers', one above the other; all but the last of a network's width.
pub(super) const FUSED: [(&str, &[&str]); 3] = [
    ("img_attn.qkv", &["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("txt_attn.qkv", &["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
    ("linear1", &["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"]),
];

/// Returns the tensors by the names of diffusers. Names that are not known stay.
pub(super) fn as_in_diffusers(
    file: &Tensors,
    config: &FluxTransformerConfig,
) -> Result<Tensors, WeightsError> {
    let width = config.num_attention_heads.saturating_mul(config.attention_head_dim);
    let mut tensors = Renamed::of(file)?;
    for (name, view) in file.iter() {
        let (layer, kind) = layer_and_kind(name);
        let kind = if kind == "scale" { "weight" } else { kind };
        if let Some(new) = new_name(&OUTSIDE, layer) {
            let view = if layer == SWAPPED { view.halves_swapped(0)? } else { view.clone() };
            tensors.add(name, format!("{new}.{kind}"), view)?;
            continue;
        }
        let Some((block, layer)) = in_block(layer) else {
            tensors.add(name, name.to_owned(), view.clone())?;
            continue;
        };
        if let Some((_, parts)) = FUSED.iter().find(|(old, _)| *old == layer) {
            tensors.add_parts(name, (&block, parts, kind), split(view, width, parts.len())?)?;
            continue;
        }
        let layer = new_name(&INSIDE, layer).unwrap_or(layer);
        tensors.add(name, format!("{block}.{layer}.{kind}"), view.clone())?;
    }
    Ok(tensors.finish())
}

/// Returns parts of the network's width, the last of which is what is left.
fn split(view: &TensorView, width: usize, parts: usize) -> Result<Vec<TensorView>, WeightsError> {
    let mut lengths = vec![width; parts];
    if let Some(last) = lengths.last_mut() {
        let rows = view.shape().first().copied().unwrap_or(0);
        *last = rows.saturating_sub(width.saturating_mul(parts - 1));
    }
    view.split(0, &lengths)
}

/// Returns diffusers' name of the block in which a layer is, and the layer's name in it.
fn in_block(layer: &str) -> Option<(String, &str)> {
    let (kind, rest) = layer.split_once('.')?;
    let (number, layer) = rest.split_once('.')?;
    let blocks = match kind {
        "double_blocks" => "transformer_blocks",
        "single_blocks" => "single_transformer_blocks",
        _ => return None,
    };
    Some((format!("{blocks}.{number}"), layer))
}
