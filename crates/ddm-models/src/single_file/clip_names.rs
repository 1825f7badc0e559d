//! The names of CLIP's text encoders: those of transformers, with what files put before them, and those
//! of open_clip.
//!
//! open_clip has queries, keys and values in one layer, and the projection the other way round.

use ddm_weights::{Tensors, WeightsError};

use super::renamed::{Renamed, new_name};
use crate::text::{ClipTextConfig, prefixed};

/// Names of open_clip outside of the blocks.
const OUTSIDE: [(&str, &str); 4] = [
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
    ("ln_final.weight", "text_model.final_layer_norm.weight"),
    ("ln_final.bias", "text_model.final_layer_norm.bias"),
];

/// The matrix that open_clip multiplies by from the right.
const PROJECTION: &str = "text_projection";

/// Names of open_clip in a block.
const INSIDE: [(&str, &str); 10] = [
    ("ln_1.weight", "layer_norm1.weight"),
    ("ln_1.bias", "layer_norm1.bias"),
    ("ln_2.weight", "layer_norm2.weight"),
    ("ln_2.bias", "layer_norm2.bias"),
    ("mlp.c_fc.weight", "mlp.fc1.weight"),
    ("mlp.c_fc.bias", "mlp.fc1.bias"),
    ("mlp.c_proj.weight", "mlp.fc2.weight"),
    ("mlp.c_proj.bias", "mlp.fc2.bias"),
    ("attn.out_proj.weight", "self_attn.out_proj.weight"),
    ("attn.out_proj.bias", "self_attn.out_proj.bias"),
];

/// Names of open_clip of what is three layers in transformers.
const FUSED: [(&str, &str); 2] = [("attn.in_proj_weight", "weight"), ("attn.in_proj_bias", "bias")];

/// Those layers.
const PARTS: [&str; 3] = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];

/// What may be before all names in a file, but for that of the projection.
pub(super) const PREFIXES: [&str; 5] =
    ["", "model.", "transformer.text_model.", "text_model.", "transformer."];

/// The table of the tokens by the names of open_clip, and by those of transformers.
pub(super) const TOKENS: [&str; 2] =
    ["token_embedding.weight", "embeddings.token_embedding.weight"];

/// Returns the tensors by the names of transformers. Names that are not known stay.
///
/// Stable Diffusion 2 has the states before the last layer, so that its encoder ends there: with
/// `without_last`, the layer after those of the config is left out.
pub(super) fn as_in_transformers(
    file: &Tensors,
    config: &ClipTextConfig,
    without_last: bool,
) -> Result<Tensors, WeightsError> {
    let mut tensors = Renamed::of(file)?;
    for (old, view) in file.iter() {
        let name = old.strip_prefix("model.").unwrap_or(old);
        if let Some(new) = new_name(&OUTSIDE, name) {
            tensors.add(old, new.to_owned(), view.clone())?;
        } else if name == PROJECTION {
            tensors.add(old, format!("{PROJECTION}.weight"), view.transposed(0, 1)?)?;
        } else if let Some((number, layer)) = in_block(name) {
            if without_last && number.parse() == Ok(config.num_hidden_layers) {
                continue;
            }
            let block = format!("text_model.encoder.layers.{number}");
            if let Some(kind) = new_name(&FUSED, layer) {
                tensors.add_parts(old, (&block, &PARTS, kind), view.chunks::<3>(0)?)?;
            } else {
                let layer = new_name(&INSIDE, layer).unwrap_or(layer);
                tensors.add(old, format!("{block}.{layer}"), view.clone())?;
            }
        } else {
            let name = name.strip_prefix("transformer.").unwrap_or(name);
            tensors.add(old, prefixed(name), view.clone())?;
        }
    }
    Ok(tensors.finish())
}

/// Returns the number of the block of open_clip in which a tensor is, and the tensor's name in it.
fn in_block(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("transformer.resblocks.")?.split_once('.')
}
