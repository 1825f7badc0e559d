//! The configuration of T5's encoder.

use burn::nn::{DropoutConfig, EmbeddingConfig, RmsNormConfig};
use burn::tensor::Device;
use ddm_schedule::Invalid;
use serde_json::json;

use super::T5Encoder;
use super::relative_position::Buckets;
use super::t5::Encoder;
use super::t5_block::T5Block;
use crate::blocks::Activation;
use crate::settings::Settings;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of a [`T5Encoder`]. The default is that of T5 v1.1 XXL, which Stable Diffusion 3,
/// Flux and PixArt have.
#[derive(Clone, Debug, PartialEq)]
pub struct T5EncoderConfig {
    /// The number of tokens.
    pub vocab_size: usize,
    /// The width of the states.
    pub d_model: usize,
    /// The width of an attention head.
    pub d_kv: usize,
    /// The width of the feed-forward networks.
    pub d_ff: usize,
    /// The number of blocks.
    pub num_layers: usize,
    /// The number of attention heads.
    pub num_heads: usize,
    /// The number of buckets of relative positions.
    pub buckets: usize,
    /// The distance from which on all positions are in the last bucket.
    pub max_distance: usize,
    /// What the norms add to the mean square.
    pub layer_norm_epsilon: f64,
    /// The activation of the feed-forward networks.
    pub activation: Activation,
    /// Whether the feed-forward networks are gated, as in v1.1.
    pub gated: bool,
    /// The dropout rate in training.
    pub dropout_rate: f64,
}

impl Default for T5EncoderConfig {
    fn default() -> Self {
        Self {
            vocab_size: 32128,
            d_model: 4096,
            d_kv: 64,
            d_ff: 10240,
            num_layers: 24,
            num_heads: 64,
            buckets: 32,
            max_distance: 128,
            layer_norm_epsilon: 1e-6,
            activation: Activation::GeluTanh,
            gated: true,
            dropout_rate: 0.1,
        }
    }
}

impl T5EncoderConfig {
    /// Reads the `config.json` of a `T5EncoderModel` of transformers. What it lacks has transformers'
    /// default; what does not act on the encoder is ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    pub fn from_json(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::parse(json)?;
        settings.require("model_type", &[json!("t5")])?;
        settings.require("is_decoder", &[json!(false)])?;
        let forms = [
            ("relu", (Activation::Relu, false)),
            ("gated-gelu", (Activation::GeluTanh, true)),
            ("gated-silu", (Activation::Silu, true)),
            ("gelu", (Activation::Gelu, false)),
            ("gelu_new", (Activation::GeluTanh, false)),
        ];
        let (activation, gated) = settings.choose("feed_forward_proj", &forms)?;
        let size = |name, default| settings.get(name, "a size", default);
        Ok(Self {
            vocab_size: size("vocab_size", 32128)?,
            d_model: size("d_model", 512)?,
            d_kv: size("d_kv", 64)?,
            d_ff: size("d_ff", 2048)?,
            num_layers: size("num_layers", 6)?,
            num_heads: size("num_heads", 8)?,
            buckets: size("relative_attention_num_buckets", 32)?,
            max_distance: size("relative_attention_max_distance", 128)?,
            layer_norm_epsilon: settings.get("layer_norm_epsilon", "a number", 1e-6)?,
            activation,
            gated,
            dropout_rate: settings.get("dropout_rate", "a number", 0.1)?,
        })
    }

    /// Creates the encoder on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, there are fewer than 4 buckets, the greatest distance is not
    /// above a quarter of their number, `layer_norm_epsilon` is not above 0, or dropout is outside
    /// [0, 1).
    pub fn init(&self, device: &Device) -> Result<T5Encoder, NetworkConfigError> {
        for (what, size) in [
            ("vocab_size", self.vocab_size),
            ("d_model", self.d_model),
            ("d_kv", self.d_kv),
            ("d_ff", self.d_ff),
            ("num_layers", self.num_layers),
            ("num_heads", self.num_heads),
        ] {
            NetworkConfigError::require_some(what, size)?;
        }
        let (number, max_distance) = (self.buckets, self.max_distance);
        Invalid::require(number >= 4, "buckets", number as f64, "at least 4")?;
        let (far, allowed) = (max_distance > number / 4, "above a quarter of the buckets");
        Invalid::require(far, "max_distance", max_distance as f64, allowed)?;
        let epsilon = self.layer_norm_epsilon;
        let valid = epsilon > 0.0 && epsilon.is_finite();
        Invalid::require(valid, "layer_norm_epsilon", epsilon, "finite and above 0")?;
        let (rate, allowed) = (self.dropout_rate, "at least 0 and below 1");
        Invalid::require((0.0..1.0).contains(&rate), "dropout_rate", rate, allowed)?;
        Ok(T5Encoder {
            shared: EmbeddingConfig::new(self.vocab_size, self.d_model).init(device),
            encoder: Encoder {
                block: (0..self.num_layers)
                    .map(|index| T5Block::new(self, index == 0, device))
                    .collect(),
                final_layer_norm: RmsNormConfig::new(self.d_model)
                    .with_epsilon(epsilon)
                    .init(device),
                dropout: DropoutConfig::new(rate).init(),
            },
            buckets: Buckets { number, max_distance },
        })
    }
}
