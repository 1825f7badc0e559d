//! The configuration of Stable Diffusion 3's transformer.

use burn::nn::LinearConfig;
use burn::tensor::Device;
use serde_json::{Value, json};

use super::embeddings::TimeText;
use super::joint_block::JointBlockConfig;
use super::modulation::{EPSILON, Modulation, zero_linear};
use super::patches::Patches;
use super::{Sd3Transformer, require_sizes};
use crate::settings::Settings;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of an [`Sd3Transformer`]. The default is Stable Diffusion 3 medium.
#[derive(Clone, Debug, PartialEq)]
pub struct Sd3TransformerConfig {
    /// The height and width of x in training.
    pub sample_size: usize,
    /// The height and width of a patch.
    pub patch_size: usize,
    /// The number of channels of x.
    pub in_channels: usize,
    /// The number of channels of the prediction.
    pub out_channels: usize,
    /// The number of blocks.
    pub num_layers: usize,
    /// The width of an attention head. The width of all heads is a multiple of 4.
    pub attention_head_dim: usize,
    /// The number of attention heads.
    pub num_attention_heads: usize,
    /// The width of the states of the text encoders.
    pub joint_attention_dim: usize,
    /// The width of the pooled texts.
    pub pooled_projection_dim: usize,
    /// The side of the table of positions, in patches.
    pub pos_embed_max_size: usize,
    /// The blocks in which the patches have a second attention, to themselves alone.
    pub dual_attention_layers: Vec<usize>,
    /// Whether each head's queries and keys are normalized by their root mean square.
    pub qk_norm: bool,
}

impl Default for Sd3TransformerConfig {
    fn default() -> Self {
        Self {
            sample_size: 128,
            patch_size: 2,
            in_channels: 16,
            out_channels: 16,
            num_layers: 24,
            attention_head_dim: 64,
            num_attention_heads: 24,
            joint_attention_dim: 4096,
            pooled_projection_dim: 2048,
            pos_embed_max_size: 192,
            dual_attention_layers: Vec::new(),
            qk_norm: false,
        }
    }
}

impl Sd3TransformerConfig {
    /// Reads the `config.json` of an `SD3Transformer2DModel` of diffusers. What it lacks has diffusers'
    /// default.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    pub fn from_json(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::of_class(json, "SD3Transformer2DModel")?;
        settings.require("qk_norm", &[Value::Null, json!("rms_norm")])?;
        let size = |name, default| settings.get(name, "a size", default);
        let in_channels = size("in_channels", 16)?;
        let out_channels: Option<usize> =
            settings.get("out_channels", "null or a size", Some(16))?;
        let qk_norm: Option<String> = settings.get("qk_norm", "null or a name", None)?;
        let dual = settings.get("dual_attention_layers", "a list of blocks", Vec::new())?;
        let config = Self {
            sample_size: size("sample_size", 128)?,
            patch_size: size("patch_size", 2)?,
            in_channels,
            out_channels: out_channels.unwrap_or(in_channels),
            num_layers: size("num_layers", 18)?,
            attention_head_dim: size("attention_head_dim", 64)?,
            num_attention_heads: size("num_attention_heads", 18)?,
            joint_attention_dim: size("joint_attention_dim", 4096)?,
            pooled_projection_dim: size("pooled_projection_dim", 2048)?,
            pos_embed_max_size: size("pos_embed_max_size", 96)?,
            dual_attention_layers: dual,
            qk_norm: qk_norm.is_some(),
        };
        // The width of the embedded text is that of all heads.
        if size("caption_projection_dim", 1152)? != config.width() {
            let allowed = format!("{}, the width of all heads", config.width());
            return Err(settings.error("caption_projection_dim", &allowed));
        }
        settings.finish(&[])?;
        Ok(config)
    }

    /// The width of all heads.
    fn width(&self) -> usize {
        self.num_attention_heads.saturating_mul(self.attention_head_dim)
    }

    /// Creates the network on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, the width of all heads is not a multiple of 4, the patches are
    /// larger than `sample_size`, or a block with dual attention does not exist.
    pub fn init(&self, device: &Device) -> Result<Sd3Transformer, NetworkConfigError> {
        let width = self.width();
        require_sizes(
            width,
            &[
                ("num_attention_heads", self.num_attention_heads),
                ("attention_head_dim", self.attention_head_dim),
                ("in_channels", self.in_channels),
                ("out_channels", self.out_channels),
                ("num_layers", self.num_layers),
                ("joint_attention_dim", self.joint_attention_dim),
                ("pooled_projection_dim", self.pooled_projection_dim),
                ("pos_embed_max_size", self.pos_embed_max_size),
            ],
            (self.sample_size, self.patch_size),
            (EPSILON, 0.0),
        )?;
        let last = self.num_layers - 1;
        if let Some(&found) = self.dual_attention_layers.iter().find(|&&layer| layer > last) {
            return Err(NetworkConfigError::Level { what: "dual_attention_layers", found, last });
        }
        let block = |index| JointBlockConfig {
            heads: self.num_attention_heads,
            head_size: self.attention_head_dim,
            qk_norm: self.qk_norm,
            dual: self.dual_attention_layers.contains(&index),
            last: index == last,
        };
        let patches = Patches {
            channels: self.in_channels,
            width,
            size: self.patch_size,
            side: self.sample_size / self.patch_size,
            interpolation_scale: 1.0,
            table: Some(self.pos_embed_max_size),
        };
        let values = self.patch_size * self.patch_size * self.out_channels;
        let pooled_width = self.pooled_projection_dim;
        Ok(Sd3Transformer {
            pos_embed: patches.init(device),
            time_text_embed: TimeText::new(pooled_width, width, false, device),
            context_embedder: LinearConfig::new(self.joint_attention_dim, width).init(device),
            transformer_blocks: (0..=last).map(|index| block(index).init(device)).collect(),
            norm_out: Modulation::new(width, 2, device),
            proj_out: zero_linear(width, values, device),
            pooled_width,
        })
    }
}
