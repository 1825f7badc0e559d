//! The configuration of a DiT.

use burn::nn::LinearConfig;
use burn::tensor::Device;
use serde_json::{Value, json};

use super::dit::DitBlock;
use super::modulation::zero_linear;
use super::patches::Patches;
use super::{Dit, TRANSFORMER_2D, activations, require_sizes};
use crate::blocks::Activation;
use crate::settings::Settings;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of a [`Dit`]. The default is DiT-XL/2 for images of 256×256 pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct DitConfig {
    /// The number of attention heads.
    pub num_attention_heads: usize,
    /// The width of an attention head. The width of all heads is a multiple of 4.
    pub attention_head_dim: usize,
    /// The number of channels of x.
    pub in_channels: usize,
    /// The number of channels of the prediction: that of x, or twice that with a learned variance.
    pub out_channels: usize,
    /// The number of blocks.
    pub num_layers: usize,
    /// The dropout rate in training.
    pub dropout: f64,
    /// Whether queries, keys and values have a bias.
    pub attention_bias: bool,
    /// The height and width of x in training; other sizes have their positions stretched.
    pub sample_size: usize,
    /// The height and width of a patch.
    pub patch_size: usize,
    /// The activation of the feed-forward networks.
    pub activation: Activation,
    /// The number of classes, without the null class; diffusers' `num_embeds_ada_norm`.
    pub classes: usize,
    /// What the norms before the feed-forward networks add to the variance.
    pub norm_eps: f64,
}

impl Default for DitConfig {
    fn default() -> Self {
        Self {
            num_attention_heads: 16,
            attention_head_dim: 72,
            in_channels: 4,
            out_channels: 8,
            num_layers: 28,
            dropout: 0.0,
            attention_bias: true,
            sample_size: 32,
            patch_size: 2,
            activation: Activation::GeluTanh,
            classes: 1000,
            norm_eps: 1e-5,
        }
    }
}

/// Settings of diffusers' `Transformer2DModel` that do not act on the numbers of ours.
pub(super) const WITHOUT_EFFECT: [&str; 3] =
    ["norm_num_groups", "upcast_attention", "use_linear_projection"];

impl DitConfig {
    /// Reads the `config.json` of a `DiTTransformer2DModel` of diffusers, or of a `Transformer2DModel`
    /// as old checkpoints call it. What it lacks has diffusers' default.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    pub fn from_json(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::parse(json)?;
        let classes = [json!("DiTTransformer2DModel"), json!(TRANSFORMER_2D)];
        settings.require("_class_name", &classes)?;
        settings.require("norm_type", &[json!("ada_norm_zero")])?;
        settings.require("norm_elementwise_affine", &[json!(false)])?;
        for absent in ["cross_attention_dim", "num_vector_embeds", "caption_channels"] {
            settings.require(absent, &[Value::Null])?;
        }
        for off in ["only_cross_attention", "double_self_attention"] {
            settings.require(off, &[json!(false)])?;
        }
        settings.require("attention_type", &[json!("default")])?;
        let size = |name, default| settings.get(name, "a size", default);
        let in_channels = size("in_channels", 4)?;
        let out_channels: Option<usize> = settings.get("out_channels", "null or a size", None)?;
        let config = Self {
            num_attention_heads: size("num_attention_heads", 16)?,
            attention_head_dim: size("attention_head_dim", 72)?,
            in_channels,
            out_channels: out_channels.unwrap_or(in_channels),
            num_layers: size("num_layers", 28)?,
            dropout: settings.get("dropout", "a number", 0.0)?,
            attention_bias: settings.get("attention_bias", "true or false", true)?,
            sample_size: size("sample_size", 32)?,
            patch_size: size("patch_size", 2)?,
            activation: settings.choose("activation_fn", &activations())?,
            classes: size("num_embeds_ada_norm", 1000)?,
            norm_eps: settings.get("norm_eps", "a number", 1e-5)?,
        };
        settings.finish(&WITHOUT_EFFECT)?;
        Ok(config)
    }

    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, the width of all heads is not a multiple of 4, the patches are
    /// larger than `sample_size`, `norm_eps` is not above 0, or dropout is outside [0, 1).
    pub fn init(&self, device: &Device) -> Result<Dit, NetworkConfigError> {
        let width = self.num_attention_heads * self.attention_head_dim;
        NetworkConfigError::require_some("num_embeds_ada_norm", self.classes)?;
        require_sizes(
            width,
            &[
                ("num_attention_heads", self.num_attention_heads),
                ("attention_head_dim", self.attention_head_dim),
                ("in_channels", self.in_channels),
                ("out_channels", self.out_channels),
                ("num_layers", self.num_layers),
            ],
            (self.sample_size, self.patch_size),
            (self.norm_eps, self.dropout),
        )?;
        let patches = Patches {
            channels: self.in_channels,
            width,
            size: self.patch_size,
            side: self.sample_size / self.patch_size,
            interpolation_scale: 1.0,
            table: None,
        };
        let values = self.patch_size * self.patch_size * self.out_channels;
        Ok(Dit {
            pos_embed: patches.init(device),
            transformer_blocks: (0..self.num_layers).map(|_| DitBlock::new(self, device)).collect(),
            proj_out_1: LinearConfig::new(width, 2 * width).init(device),
            proj_out_2: zero_linear(width, values, device),
        })
    }
}
