//! The configs of text encoders, from the shapes of their weights.

use super::shapes::Shapes;
use super::{Layout, SingleFileError};
use crate::blocks::Activation;
use crate::text::{ClipTextConfig, T5EncoderConfig};

/// The channels of an attention head of CLIP's.
const HEAD: usize = 64;

/// The width of the larger CLIP, by which it is known where it is alone.
const LARGE: usize = 1280;

/// The projection, by the name of transformers.
const PROJECTION: &str = "text_projection.weight";

/// Reads the config of a CLIP.
pub(super) fn clip(
    shapes: &Shapes<'_>,
    layout: Layout,
    is_second: bool,
) -> Result<ClipTextConfig, SingleFileError> {
    let open_clip = shapes.has("positional_embedding");
    let (tokens, positions, layers, hidden) = if open_clip {
        (
            "token_embedding.weight",
            "positional_embedding",
            "transformer.resblocks.",
            "mlp.c_fc.bias",
        )
    } else {
        (
            "embeddings.token_embedding.weight",
            "embeddings.position_embedding.weight",
            "encoder.layers.",
            "mlp.fc1.bias",
        )
    };
    let (vocab_size, hidden_size) = (shapes.axis(tokens, 0)?, shapes.axis(tokens, 1)?);
    // Stable Diffusion 2 does not use the last layer of its encoder, nor the projection.
    let without_last = matches!(layout, Layout::StableDiffusion2 | Layout::Upscaler);
    let projection = match layout {
        Layout::StableDiffusion3 => Some(hidden_size),
        Layout::Xl | Layout::XlRefiner if is_second => Some(shapes.axis("text_projection", 1)?),
        Layout::TextEncoder if open_clip && shapes.has("text_projection") => {
            Some(shapes.axis("text_projection", 1)?)
        }
        // Of the smaller encoder alone, Flux takes the states before the projection.
        Layout::TextEncoder if hidden_size == LARGE && shapes.has_end(PROJECTION) => {
            Some(hidden_size)
        }
        _ => None,
    };
    let large = is_second || open_clip || hidden_size == LARGE;
    Ok(ClipTextConfig {
        vocab_size,
        hidden_size,
        intermediate_size: shapes.axis(&format!("{layers}0.{hidden}"), 0)?,
        num_hidden_layers: shapes.count(layers).saturating_sub(usize::from(without_last)),
        num_attention_heads: (hidden_size / HEAD).max(1),
        max_position_embeddings: shapes.axis(positions, 0)?,
        hidden_act: if large { Activation::Gelu } else { Activation::QuickGelu },
        // The token that ends a text is the last.
        eos_token_id: i64::try_from(vocab_size - 1).unwrap_or(i64::MAX),
        projection,
        ..Default::default()
    })
}

/// Reads the config of a T5.
pub(super) fn t5(shapes: &Shapes<'_>) -> Result<T5EncoderConfig, SingleFileError> {
    let tied = ["shared.weight", "encoder.embed_tokens.weight"];
    let tokens = if shapes.has(tied[0]) { tied[0] } else { tied[1] };
    let attention = "encoder.block.0.layer.0.SelfAttention";
    let biases = format!("{attention}.relative_attention_bias.weight");
    let num_heads = shapes.axis(&biases, 1)?;
    let feed_forward = "encoder.block.0.layer.1.DenseReluDense";
    let gated = shapes.has(&format!("{feed_forward}.wi_0.weight"));
    let first = if gated { "wi_0" } else { "wi" };
    Ok(T5EncoderConfig {
        vocab_size: shapes.axis(tokens, 0)?,
        d_model: shapes.axis(tokens, 1)?,
        d_kv: shapes.axis(&format!("{attention}.q.weight"), 0)? / num_heads,
        d_ff: shapes.axis(&format!("{feed_forward}.{first}.weight"), 0)?,
        num_layers: shapes.count("encoder.block."),
        num_heads,
        buckets: shapes.axis(&biases, 0)?,
        activation: if gated { Activation::GeluTanh } else { Activation::Relu },
        gated,
        ..Default::default()
    })
}
