//! The configuration of a PixArt.

use burn::tensor::Device;
use ddm_schedule::Invalid;
use serde_json::{Value, json};

use super::dit_config::WITHOUT_EFFECT;
use super::embeddings::Projection;
use super::modulation::zero_linear;
use super::patches::Patches;
use super::pixart::{PixArtBlock, TimeModulation, table};
use super::{PixArt, TRANSFORMER_2D, activations, require_sizes};
use crate::blocks::Activation;
use crate::settings::Settings;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of a [`PixArt`]. The default is PixArt-α for images of 1024×1024 pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct PixArtConfig {
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
    /// The width of the text as the blocks see it.
    pub cross_attention_dim: usize,
    /// Whether queries, keys and values have a bias.
    pub attention_bias: bool,
    /// The height and width of x in training; other sizes have their positions stretched.
    pub sample_size: usize,
    /// The height and width of a patch.
    pub patch_size: usize,
    /// The activation of the feed-forward networks.
    pub activation: Activation,
    /// What the norms of the blocks add to the variance.
    pub norm_eps: f64,
    /// What the positions are divided by.
    pub interpolation_scale: f64,
    /// Whether the network takes the resolution and the aspect ratio of the image.
    pub use_additional_conditions: bool,
    /// The width of the states of the text encoder, which are projected to the width of the blocks;
    /// `None` for states of `cross_attention_dim`, without a projection.
    pub caption_channels: Option<usize>,
}

impl Default for PixArtConfig {
    fn default() -> Self {
        Self {
            num_attention_heads: 16,
            attention_head_dim: 72,
            in_channels: 4,
            out_channels: 8,
            num_layers: 28,
            dropout: 0.0,
            cross_attention_dim: 1152,
            attention_bias: true,
            sample_size: 128,
            patch_size: 2,
            activation: Activation::GeluTanh,
            norm_eps: 1e-6,
            interpolation_scale: 2.0,
            use_additional_conditions: true,
            caption_channels: Some(4096),
        }
    }
}

impl PixArtConfig {
    /// Reads the `config.json` of a `PixArtTransformer2DModel` of diffusers, or of a
    /// `Transformer2DModel` as old checkpoints call it. What it lacks has diffusers' default.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    pub fn from_json(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::parse(json)?;
        let classes = [json!("PixArtTransformer2DModel"), json!(TRANSFORMER_2D)];
        settings.require("_class_name", &classes)?;
        settings.require("norm_type", &[json!("ada_norm_single")])?;
        settings.require("norm_elementwise_affine", &[json!(false)])?;
        settings.require("attention_type", &[json!("default")])?;
        settings.require("num_vector_embeds", &[Value::Null])?;
        for off in ["only_cross_attention", "double_self_attention"] {
            settings.require(off, &[json!(false)])?;
        }
        let size = |name, default| settings.get(name, "a size", default);
        let sample_size = size("sample_size", 128)?;
        let in_channels = size("in_channels", 4)?;
        let out_channels: Option<usize> =
            settings.get("out_channels", "null or a size", Some(8))?;
        let scale: Option<f64> = settings.get("interpolation_scale", "null or a number", None)?;
        let what = "use_additional_conditions";
        let additional: Option<bool> = settings.get(what, "null, true or false", None)?;
        let config = Self {
            num_attention_heads: size("num_attention_heads", 16)?,
            attention_head_dim: size("attention_head_dim", 72)?,
            in_channels,
            out_channels: out_channels.unwrap_or(in_channels),
            num_layers: size("num_layers", 28)?,
            dropout: settings.get("dropout", "a number", 0.0)?,
            cross_attention_dim: size("cross_attention_dim", 1152)?,
            attention_bias: settings.get("attention_bias", "true or false", true)?,
            sample_size,
            patch_size: size("patch_size", 2)?,
            activation: settings.choose("activation_fn", &activations())?,
            norm_eps: settings.get("norm_eps", "a number", 1e-6)?,
            interpolation_scale: scale.unwrap_or((sample_size / 64).max(1) as f64),
            use_additional_conditions: additional.unwrap_or(sample_size == 128),
            caption_channels: settings.get("caption_channels", "null or a size", None)?,
        };
        settings.finish(&[&["num_embeds_ada_norm"], &WITHOUT_EFFECT[..]].concat())?;
        Ok(config)
    }

    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, the width of all heads is not a multiple of 4 (with additional
    /// conditions, of 3 too), a projected text has another width than the blocks see, the patches are
    /// larger than `sample_size`, `norm_eps` or `interpolation_scale` is not above 0, or dropout is
    /// outside [0, 1).
    pub fn init(&self, device: &Device) -> Result<PixArt, NetworkConfigError> {
        let width = self.num_attention_heads * self.attention_head_dim;
        require_sizes(
            width,
            &[
                ("num_attention_heads", self.num_attention_heads),
                ("attention_head_dim", self.attention_head_dim),
                ("in_channels", self.in_channels),
                ("out_channels", self.out_channels),
                ("num_layers", self.num_layers),
                ("cross_attention_dim", self.cross_attention_dim),
                ("caption_channels", self.caption_channels.unwrap_or(1)),
            ],
            (self.sample_size, self.patch_size),
            (self.norm_eps, self.dropout),
        )?;
        let scale = self.interpolation_scale;
        let valid = scale > 0.0 && scale.is_finite();
        let name = "interpolation_scale";
        Invalid::require(valid, name, scale, "finite and above 0")?;
        if self.use_additional_conditions {
            let (what, of) = ("the width of all heads", "number of embedded numbers of the size");
            NetworkConfigError::require_multiple(what, width, 3, of)?;
        }
        if self.caption_channels.is_some() {
            let (found, of) = (self.cross_attention_dim, "width of the projected text");
            NetworkConfigError::require_equal("cross_attention_dim", found, width, of)?;
        }
        let patches = Patches {
            channels: self.in_channels,
            width,
            size: self.patch_size,
            side: self.sample_size / self.patch_size,
            interpolation_scale: scale,
            table: None,
        };
        let project = |from| Projection::new(from, width, Activation::GeluTanh, device);
        let values = self.patch_size * self.patch_size * self.out_channels;
        Ok(PixArt {
            pos_embed: patches.init(device),
            adaln_single: TimeModulation::new(width, self.use_additional_conditions, device),
            caption_projection: self.caption_channels.map(project),
            transformer_blocks: (0..self.num_layers)
                .map(|_| PixArtBlock::new(self, device))
                .collect(),
            scale_shift_table: table(2, width, device),
            proj_out: zero_linear(width, values, device),
            text_width: self.caption_channels.unwrap_or(self.cross_attention_dim),
        })
    }
}
