//! Flux in the layout of Black Forest Labs, as single files and GGUF have it.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::Device;
use ddm_weights::{LoadOptions, Tensors, WeightsError, load};

use super::{FluxTransformer, FluxTransformerConfig};
use crate::DiffusersError;

/// What ComfyUI writes before each name.
const PREFIX: &str = "model.diffusion_model.";

/// Names outside of the blocks, and those of diffusers.
const OUTSIDE: [(&str, &str); 10] = [
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
const SWAPPED: &str = "final_layer.adaLN_modulation.1";

/// Names in `double_blocks.i` and in `single_blocks.i`.
const INSIDE: [(&str, &str); 16] = [
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
const FUSED: [(&str, &[&str]); 3] = [
    ("img_attn.qkv", &["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("txt_attn.qkv", &["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
    ("linear1", &["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"]),
];

impl FluxTransformer {
    /// Loads a file in the layout of Black Forest Labs: `flux1-dev.safetensors`, the same with
    /// ComfyUI's prefix, or GGUF, whose blocks become f32.
    ///
    /// Such a file has no config; the default is that of Flux.1 \[schnell\], and \[dev\] has
    /// `guidance_embeds` too.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, the config is invalid, or a tensor is missing,
    /// unknown or of another shape.
    ///
    /// ```no_run
    /// use burn::tensor::Device;
    /// use ddm_models::transformer::{FluxTransformer, FluxTransformerConfig};
    /// let dev = FluxTransformerConfig { guidance_embeds: true, ..Default::default() };
    /// let network = FluxTransformer::from_single_file("flux1-dev.gguf", &dev, &Device::flex())?;
    /// # Ok::<(), ddm_models::DiffusersError>(())
    /// ```
    pub fn from_single_file(
        path: impl AsRef<Path>,
        config: &FluxTransformerConfig,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let network = config.init(device)?;
        let width = config.num_attention_heads * config.attention_head_dim;
        let tensors = as_in_diffusers(&Tensors::open(path)?, width)?;
        Ok(load(network, &tensors, &LoadOptions::new())?)
    }
}

/// Returns the tensors by the names of diffusers, and split as there. Names that are not known stay.
fn as_in_diffusers(file: &Tensors, width: usize) -> Result<Tensors, WeightsError> {
    let mut tensors = file.rename(|_| None)?;
    for (name, view) in file.iter() {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        let (layer, kind) = name.rsplit_once('.').unwrap_or((name, ""));
        let kind = if kind == "scale" { "weight" } else { kind };
        if let Some((_, new)) = OUTSIDE.iter().find(|(old, _)| *old == layer) {
            let view = if layer == SWAPPED { view.halves_swapped(0)? } else { view.clone() };
            tensors.insert(format!("{new}.{kind}"), view);
            continue;
        }
        let Some((block, layer)) = in_block(layer) else {
            tensors.insert(name, view.clone());
            continue;
        };
        if let Some((_, parts)) = FUSED.iter().find(|(old, _)| *old == layer) {
            let before = width * (parts.len() - 1);
            let mut lengths = vec![width; parts.len() - 1];
            let rows = view.shape().first().copied().unwrap_or(0);
            lengths.push(rows.saturating_sub(before));
            for (part, view) in parts.iter().zip(view.split(0, &lengths)?) {
                tensors.insert(format!("{block}.{part}.{kind}"), view);
            }
            continue;
        }
        let new = INSIDE.iter().find(|(old, _)| *old == layer).map_or(layer, |(_, new)| new);
        tensors.insert(format!("{block}.{new}.{kind}"), view.clone());
    }
    Ok(tensors)
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

/// The layers of a network in the layout of Black Forest Labs, each with the layers of diffusers that it
/// holds, one above the other. Of a network that is not Flux there are none.
///
/// The layer whose halves are swapped is not among them, nor are norms' weights of any use here.
pub(crate) fn flux_layers(paths: &[&str]) -> Vec<(String, Vec<String>)> {
    if !paths.iter().any(|path| path.starts_with("single_transformer_blocks.")) {
        return Vec::new();
    }
    let blocks: BTreeSet<_> = paths.iter().filter_map(|path| block_of(path)).collect();
    let outside = OUTSIDE.iter().filter(|(old, _)| *old != SWAPPED);
    let outside = outside.map(|(old, new)| ((*old).to_owned(), vec![(*new).to_owned()]));
    let inside = blocks.into_iter().flat_map(|(old, new)| {
        let one = INSIDE.iter().map(|(layer, name)| (*layer, std::slice::from_ref(name)));
        let fused = FUSED.iter().map(|(layer, names)| (*layer, *names));
        one.chain(fused).map(move |(layer, names)| {
            let parts = names.iter().map(|name| format!("{new}.{name}")).collect();
            (format!("{old}.{layer}"), parts)
        })
    });
    outside.chain(inside).collect()
}

/// The block in which a layer of diffusers is, in both layouts; the reverse of [`in_block`].
fn block_of(path: &str) -> Option<(String, String)> {
    let (kind, rest) = path.split_once('.')?;
    let (number, _) = rest.split_once('.')?;
    let old = match kind {
        "transformer_blocks" => "double_blocks",
        "single_transformer_blocks" => "single_blocks",
        _ => return None,
    };
    Some((format!("{old}.{number}"), format!("{kind}.{number}")))
}
