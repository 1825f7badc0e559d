//! The config of Stable Diffusion 3's transformer, from the shapes of its weights.

use super::SingleFileError;
use super::shapes::Shapes;
use crate::transformer::Sd3TransformerConfig;

/// The channels of an attention head.
const HEAD: usize = 64;

/// Reads the config.
pub(super) fn read(shapes: &Shapes<'_>) -> Result<Sd3TransformerConfig, SingleFileError> {
    // The table of positions is made before weights are loaded: its size is that of a tensor there.
    let (positions, width) = (shapes.axis("pos_embed", 1)?, shapes.axis("pos_embed", 2)?);
    let norm = "joint_blocks.0.x_block.attn.ln_q.weight";
    let qk_norm = shapes.has(norm);
    let head = if qk_norm { shapes.axis(norm, 0)? } else { HEAD };
    let patch_size = shapes.axis("x_embedder.proj.weight", 2)?;
    let values = patch_size.saturating_mul(patch_size).max(1);
    let num_layers = shapes.count("joint_blocks.");
    let dual =
        |block: &usize| shapes.has(&format!("joint_blocks.{block}.x_block.attn2.qkv.weight"));
    Ok(Sd3TransformerConfig {
        patch_size,
        in_channels: shapes.axis("x_embedder.proj.weight", 1)?,
        out_channels: shapes.axis("final_layer.linear.weight", 0)? / values,
        num_layers,
        attention_head_dim: head,
        num_attention_heads: width / head,
        joint_attention_dim: shapes.axis("context_embedder.weight", 1)?,
        pooled_projection_dim: shapes.axis("y_embedder.mlp.0.weight", 1)?,
        pos_embed_max_size: positions.isqrt(),
        dual_attention_layers: (0..num_layers).filter(dual).collect(),
        qk_norm,
        ..Default::default()
    })
}
