//! The configuration of Flux's transformer.

use burn::nn::LinearConfig;
use burn::tensor::Device;
use serde_json::json;

use super::FluxTransformer;
use super::embeddings::TimeText;
use super::joint_block::JointBlockConfig;
use super::modulation::{Modulation, zero_linear};
use super::single_block::SingleBlock;
use crate::settings::Settings;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of a [`FluxTransformer`]. The default is Flux.1 \[schnell\].
#[derive(Clone, Debug, PartialEq)]
pub struct FluxTransformerConfig {
    /// The number of channels of a patch.
    pub in_channels: usize,
    /// The number of channels of a predicted patch.
    pub out_channels: usize,
    /// The number of blocks of two sequences.
    pub num_layers: usize,
    /// The number of blocks of one sequence.
    pub num_single_layers: usize,
    /// The width of an attention head.
    pub attention_head_dim: usize,
    /// The number of attention heads.
    pub num_attention_heads: usize,
    /// The width of the states of the text encoder.
    pub joint_attention_dim: usize,
    /// The width of the pooled texts.
    pub pooled_projection_dim: usize,
    /// Whether the network takes the scale of its guidance.
    pub guidance_embeds: bool,
    /// The channels of a head that each axis of the positions turns: even, and all of a head together.
    pub axes_dims_rope: Vec<usize>,
}

impl Default for FluxTransformerConfig {
    fn default() -> Self {
        Self {
            in_channels: 64,
            out_channels: 64,
            num_layers: 19,
            num_single_layers: 38,
            attention_head_dim: 128,
            num_attention_heads: 24,
            joint_attention_dim: 4096,
            pooled_projection_dim: 768,
            guidance_embeds: false,
            axes_dims_rope: vec![16, 56, 56],
        }
    }
}

impl FluxTransformerConfig {
    /// Reads the `config.json` of a `FluxTransformer2DModel` of diffusers. What it lacks has diffusers'
    /// default.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    pub fn from_json(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::of_class(json, "FluxTransformer2DModel")?;
        settings.require("patch_size", &[json!(1)])?;
        let size = |name, default| settings.get(name, "a size", default);
        let in_channels = size("in_channels", 64)?;
        let out_channels: Option<usize> = settings.get("out_channels", "null or a size", None)?;
        let config = Self {
            in_channels,
            out_channels: out_channels.unwrap_or(in_channels),
            num_layers: size("num_layers", 19)?,
            num_single_layers: size("num_single_layers", 38)?,
            attention_head_dim: size("attention_head_dim", 128)?,
            num_attention_heads: size("num_attention_heads", 24)?,
            joint_attention_dim: size("joint_attention_dim", 4096)?,
            pooled_projection_dim: size("pooled_projection_dim", 768)?,
            guidance_embeds: settings.get("guidance_embeds", "true or false", false)?,
            axes_dims_rope: settings.get("axes_dims_rope", "a list of sizes", vec![16, 56, 56])?,
        };
        settings.finish(&[])?;
        Ok(config)
    }

    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, or the sizes of the axes are odd or do not add up to the width
    /// of a head.
    pub fn init(&self, device: &Device) -> Result<FluxTransformer, NetworkConfigError> {
        let (heads, head_size) = (self.num_attention_heads, self.attention_head_dim);
        for (what, size) in [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("num_attention_heads", heads),
            ("attention_head_dim", head_size),
            ("joint_attention_dim", self.joint_attention_dim),
            ("pooled_projection_dim", self.pooled_projection_dim),
        ] {
            NetworkConfigError::require_some(what, size)?;
        }
        let what = "axes_dims_rope";
        for &size in &self.axes_dims_rope {
            NetworkConfigError::require_some(what, size)?;
            NetworkConfigError::require_multiple(what, size, 2, "number of channels of a pair")?;
        }
        let sum = self.axes_dims_rope.iter().sum();
        NetworkConfigError::require_equal(
            "the sum of axes_dims_rope",
            sum,
            head_size,
            "width of a head",
        )?;
        let width = heads * head_size;
        let joint = JointBlockConfig { heads, head_size, qk_norm: true, dual: false, last: false };
        let pooled_width = self.pooled_projection_dim;
        Ok(FluxTransformer {
            time_text_embed: TimeText::new(pooled_width, width, self.guidance_embeds, device),
            context_embedder: LinearConfig::new(self.joint_attention_dim, width).init(device),
            x_embedder: LinearConfig::new(self.in_channels, width).init(device),
            transformer_blocks: (0..self.num_layers).map(|_| joint.init(device)).collect(),
            single_transformer_blocks: (0..self.num_single_layers)
                .map(|_| SingleBlock::new(heads, head_size, device))
                .collect(),
            norm_out: Modulation::new(width, 2, device),
            proj_out: zero_linear(width, self.out_channels, device),
            axes: self.axes_dims_rope.clone(),
            pooled_width,
        })
    }
}
