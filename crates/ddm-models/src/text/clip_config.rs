//! The configuration of CLIP's text encoder.

use burn::nn::{EmbeddingConfig, LayerNormConfig, LinearConfig};
use burn::tensor::Device;
use ddm_schedule::Invalid;
use serde_json::json;

use super::ClipText;
use super::clip::{Embeddings, Encoder, TextModel};
use super::clip_layer::ClipLayer;
use crate::blocks::Activation;
use crate::settings::Settings;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of a [`ClipText`]. The default is that of Stable Diffusion 1's.
///
/// ```
/// use burn::tensor::Device;
/// use ddm_models::text::ClipTextConfig;
/// let config = ClipTextConfig { num_attention_heads: 7, ..Default::default() };
/// let error = config.init(&Device::flex()).unwrap_err();
/// let says = "hidden_size is 768, but must be a multiple of 7, the num_attention_heads";
/// assert_eq!(error.to_string(), says);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ClipTextConfig {
    /// The number of tokens.
    pub vocab_size: usize,
    /// The width of the states.
    pub hidden_size: usize,
    /// The width of the MLPs.
    pub intermediate_size: usize,
    /// The number of layers.
    pub num_hidden_layers: usize,
    /// The number of attention heads; it divides the width.
    pub num_attention_heads: usize,
    /// The greatest number of tokens of a text.
    pub max_position_embeddings: usize,
    /// The activation of the MLPs.
    pub hidden_act: Activation,
    /// What the norms add to the variance.
    pub layer_norm_eps: f64,
    /// The id of the token that ends a text; the pooled state is taken at the first. With 2, which old
    /// configs have by mistake, it is taken at the first of the highest id.
    pub eos_token_id: i64,
    /// The width of the projected state; `None` for an encoder without projection.
    pub projection: Option<usize>,
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
            projection: None,
        }
    }
}

impl ClipTextConfig {
    /// Reads the `config.json` of a `CLIPTextModel` or `CLIPTextModelWithProjection` of transformers.
    /// What it lacks has transformers' default; what does not act on the states is ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    pub fn from_json(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::parse(json)?;
        settings.require("model_type", &[json!("clip_text_model")])?;
        let (plain, projecting) =
            (json!(["CLIPTextModel"]), json!(["CLIPTextModelWithProjection"]));
        settings.require("architectures", &[plain, projecting.clone(), json!(null)])?;
        let projects =
            settings.get("architectures", "a list", json!(null)).is_ok_and(|it| it == projecting);
        let width = settings.get("projection_dim", "a size", 512)?;
        let acts = [("quick_gelu", Activation::QuickGelu), ("gelu", Activation::Gelu)];
        let size = |name, default| settings.get(name, "a size", default);
        Ok(Self {
            vocab_size: size("vocab_size", 49408)?,
            hidden_size: size("hidden_size", 512)?,
            intermediate_size: size("intermediate_size", 2048)?,
            num_hidden_layers: size("num_hidden_layers", 12)?,
            num_attention_heads: size("num_attention_heads", 8)?,
            max_position_embeddings: size("max_position_embeddings", 77)?,
            hidden_act: settings.choose("hidden_act", &acts)?,
            layer_norm_eps: settings.get("layer_norm_eps", "a number", 1e-5)?,
            eos_token_id: settings.get("eos_token_id", "an id", 49407)?,
            projection: projects.then_some(width),
        })
    }

    /// Creates the encoder on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, the width is not a multiple of the heads, or
    /// `layer_norm_eps` is not above 0.
    pub fn init(&self, device: &Device) -> Result<ClipText, NetworkConfigError> {
        let width = self.hidden_size;
        for (what, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", width),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("max_position_embeddings", self.max_position_embeddings),
            ("projection", self.projection.unwrap_or(1)),
        ] {
            NetworkConfigError::require_some(what, size)?;
        }
        let heads = self.num_attention_heads;
        let of = "num_attention_heads";
        NetworkConfigError::require_multiple("hidden_size", width, heads, of)?;
        let epsilon = self.layer_norm_eps;
        let valid = epsilon > 0.0 && epsilon.is_finite();
        Invalid::require(valid, "layer_norm_eps", epsilon, "finite and above 0")?;
        let table = |rows| EmbeddingConfig::new(rows, width).init(device);
        let project = |to| LinearConfig::new(width, to).with_bias(false).init(device);
        Ok(ClipText {
            text_model: TextModel {
                embeddings: Embeddings {
                    token_embedding: table(self.vocab_size),
                    position_embedding: table(self.max_position_embeddings),
                },
                encoder: Encoder {
                    layers: (0..self.num_hidden_layers)
                        .map(|_| ClipLayer::new(self, device))
                        .collect(),
                },
                final_layer_norm: LayerNormConfig::new(width).with_epsilon(epsilon).init(device),
            },
            text_projection: self.projection.map(project),
            eos_token_id: self.eos_token_id,
        })
    }
}
