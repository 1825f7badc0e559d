//! The config of Flux's transformer, from the shapes of its weights.

use super::SingleFileError;
use super::shapes::Shapes;
use crate::transformer::FluxTransformerConfig;

/// Reads the config.
pub(super) fn read(shapes: &Shapes<'_>) -> Result<FluxTransformerConfig, SingleFileError> {
    let default = FluxTransformerConfig::default();
    let head = shapes.axis("double_blocks.0.img_attn.norm.key_norm.scale", 0)?;
    if head != default.attention_head_dim {
        let reason = format!(
            "its heads have {head} channels, and how many turn with each axis is \
                              known of {} alone",
            default.attention_head_dim
        );
        return Err(shapes.error(reason));
    }
    Ok(FluxTransformerConfig {
        in_channels: shapes.axis("img_in.weight", 1)?,
        out_channels: shapes.axis("final_layer.linear.weight", 0)?,
        num_layers: shapes.count("double_blocks."),
        num_single_layers: shapes.count("single_blocks."),
        num_attention_heads: shapes.axis("img_in.weight", 0)? / head,
        joint_attention_dim: shapes.axis("txt_in.weight", 1)?,
        pooled_projection_dim: shapes.axis("vector_in.in_layer.weight", 1)?,
        guidance_embeds: shapes.has("guidance_in.in_layer.weight"),
        ..default
    })
}
