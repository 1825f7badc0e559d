//! The layers of transformers in original checkpoints, for files that name layers alone.

use std::collections::BTreeSet;

use super::{flux_names as flux, sd3_names as sd3};

/// The layers of one block in another layout, each with those of diffusers that it holds.
type Layers<'a> = &'a [(&'a str, &'a [&'a str])];

/// Layers of XLabs' LoRAs for Flux. A number at the end says which of two sequences is meant: 1 is the
/// image's, 2 the text's.
const XLABS: [(&str, &[&str]); 6] = [
    ("qkv_lora1", &["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("proj_lora1", &["attn.to_out.0"]),
    ("qkv_lora2", &["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
    ("proj_lora2", &["attn.to_add_out"]),
    ("qkv", &["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("proj", &["proj_out"]),
];

/// The layers of a network of Flux or Stable Diffusion 3 in the layout of its makers, each with the layers
/// of diffusers that it holds, one above the other. Of other networks there are none.
///
/// The layers whose halves are swapped are not among them, nor are norms' weights of any use here.
pub(crate) fn original_layers(paths: &[&str]) -> Vec<(String, Vec<String>)> {
    let has = |start: &str| paths.iter().any(|path| path.starts_with(start));
    if has("single_transformer_blocks.") {
        let blocks = [
            ("transformer_blocks", "double_blocks"),
            ("single_transformer_blocks", "single_blocks"),
        ];
        let outside = flux::OUTSIDE.iter().filter(|(old, _)| *old != flux::SWAPPED);
        let inside = [&one_by_one(&flux::INSIDE), &flux::FUSED[..], &XLABS].concat();
        layers(paths, &blocks, outside, &inside)
    } else if has("transformer_blocks.0.ff_context.") {
        let last = numbers(paths, "transformer_blocks").into_iter().max();
        let outside = sd3::OUTSIDE.iter().filter(|(old, _)| *old != sd3::LAST_MODULATION);
        let inside = [&one_by_one(&sd3::INSIDE), &sd3::FUSED[..]].concat();
        let mut found = layers(paths, &[("transformer_blocks", "joint_blocks")], outside, &inside);
        if let Some(last) = last {
            let swapped = format!("joint_blocks.{last}.{}", sd3::TEXT_MODULATION);
            found.retain(|(name, _)| *name != swapped);
        }
        found
    } else {
        Vec::new()
    }
}

/// Pairs of names as layers that hold one of diffusers'.
fn one_by_one<'a>(pairs: &'a [(&'a str, &'a str)]) -> Vec<(&'a str, &'a [&'a str])> {
    pairs.iter().map(|(old, new)| (*old, std::slice::from_ref(new))).collect()
}

/// Returns the layers outside of blocks, and those of each block; `blocks` are their names in diffusers
/// and there.
fn layers<'a>(
    paths: &[&str],
    blocks: &[(&str, &str)],
    outside: impl Iterator<Item = &'a (&'a str, &'a str)>,
    inside: Layers<'_>,
) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<_> =
        outside.map(|(old, new)| ((*old).to_owned(), vec![(*new).to_owned()])).collect();
    for (new, old) in blocks {
        for number in numbers(paths, new) {
            for (layer, names) in inside {
                let names = names.iter().map(|name| format!("{new}.{number}.{name}")).collect();
                found.push((format!("{old}.{number}.{layer}"), names));
            }
        }
    }
    found
}

/// Returns the numbers of the blocks of this name.
fn numbers(paths: &[&str], blocks: &str) -> BTreeSet<usize> {
    let number =
        |path: &&str| path.strip_prefix(blocks)?.strip_prefix('.')?.split('.').next()?.parse().ok();
    paths.iter().filter_map(number).collect()
}
