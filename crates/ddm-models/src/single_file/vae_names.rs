//! The names of autoencoders in the repository of latent diffusion, and those of diffusers.
//!
//! There, the levels of the decoder are counted from the finest, and the projections of attention are
//! convolutions of 1×1.

use ddm_weights::{TensorView, Tensors, WeightsError};

use super::renamed::{Renamed, layer_and_kind, new_name};

/// Parts of `encoder` and `decoder`, and of their levels.
const BLOCKS: [(&str, &str); 9] = [
    ("norm_out", "conv_norm_out"),
    ("mid.block_1", "mid_block.resnets.0"),
    ("mid.attn_1", "mid_block.attentions.0"),
    ("mid.block_2", "mid_block.resnets.1"),
    ("block", "resnets"),
    ("attn", "attentions"),
    ("downsample", "downsamplers.0"),
    ("upsample", "upsamplers.0"),
    ("nin_shortcut", "conv_shortcut"),
];

/// Layers of attention.
const ATTENTION: [(&str, &str); 5] =
    [("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")];

/// Returns the tensors of an autoencoder of so many levels by the names of diffusers. Names that are not
/// known stay.
pub(super) fn as_in_diffusers(file: &Tensors, levels: usize) -> Result<Tensors, WeightsError> {
    let mut tensors = Renamed::of(file)?;
    for (name, view) in file.iter() {
        let new = new(name, levels).unwrap_or_else(|| name.to_owned());
        let view = if new.contains(".attentions.") { linear(view)? } else { view.clone() };
        tensors.add(name, new, view)?;
    }
    Ok(tensors.finish())
}

/// Returns a convolution of 1×1 as a linear layer.
fn linear(view: &TensorView) -> Result<TensorView, WeightsError> {
    match *view.shape() {
        [to, from, 1, 1] => view.reshaped([to, from]),
        _ => Ok(view.clone()),
    }
}

/// Returns the new name of a tensor of the encoder or decoder.
fn new(name: &str, levels: usize) -> Option<String> {
    let (network, rest) = name.split_once('.')?;
    let (level, rest) = match (network, rest.split_once('.')?) {
        ("encoder", ("down", rest)) => {
            let (level, rest) = rest.split_once('.')?;
            (format!("down_blocks.{level}."), rest)
        }
        ("decoder", ("up", rest)) => {
            let (level, rest) = rest.split_once('.')?;
            let from_coarsest = (levels.checked_sub(1)?).checked_sub(level.parse().ok()?)?;
            (format!("up_blocks.{from_coarsest}."), rest)
        }
        ("encoder" | "decoder", _) => (String::new(), rest),
        _ => return None,
    };
    let (start, new) = BLOCKS
        .iter()
        .find(|(old, _)| rest.strip_prefix(old).is_some_and(|rest| rest.starts_with('.')))?;
    let (layer, kind) = layer_and_kind(&rest[start.len() + 1..]);
    // `norm_out.weight` has no layer inside.
    if kind.is_empty() {
        return Some(format!("{network}.{level}{new}.{layer}"));
    }
    // `0.conv1`, or `conv1`; in attention `0.q`, or `q`.
    let (index, layer) = match layer.split_once('.') {
        Some((index, layer)) => (format!("{index}."), layer),
        None => (String::new(), layer),
    };
    let table: &[(&str, &str)] = if new.contains("attentions") { &ATTENTION } else { &BLOCKS };
    let layer = new_name(table, layer).unwrap_or(layer);
    Some(format!("{network}.{level}{new}.{index}{layer}.{kind}"))
}
