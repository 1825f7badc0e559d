//! The configuration of a U-Net without a text.

use serde_json::json;

use crate::DiffusersError;
use crate::blocks::Activation;
use crate::settings::{OF_TRAINING, Settings};
use crate::unets::condition::read::{ACTIVATIONS, class_embed, scale_shift};
use crate::unets::{BlockType, ClassEmbed};

/// The configuration of a [`UNet2d`](crate::UNet2d), by diffusers' names. The default is diffusers' own.
#[derive(Clone, Debug, PartialEq)]
pub struct UNet2dConfig {
    /// The number of channels of x.
    pub in_channels: usize,
    /// The number of channels of the prediction: that of x, or twice that with a learned variance.
    pub out_channels: usize,
    /// Whether x is taken as 2x − 1.
    pub center_input_sample: bool,
    /// How t is embedded.
    pub time_embedding_type: TimeEmbedding,
    /// The length of the conditioning vector; `None` for 4 times the first channels.
    pub time_embedding_dim: Option<usize>,
    /// The frequency shift of the embedding of t.
    pub freq_shift: f64,
    /// Whether the cosines come first in the embedding of t.
    pub flip_sin_to_cos: bool,
    /// The levels on the way down, finest first.
    pub down_block_types: Vec<BlockType>,
    /// Whether the network has a middle: two residual blocks.
    pub mid_block: bool,
    /// The levels on the way up, coarsest first.
    pub up_block_types: Vec<BlockType>,
    /// The channels of each level, finest first.
    pub block_out_channels: Vec<usize>,
    /// The number of residual blocks per level on the way down; the way up has one more.
    pub layers_per_block: usize,
    /// What the sums of the middle are divided by.
    pub mid_block_scale_factor: f64,
    /// The padding of the convolutions that halve the resolution: 1 on all sides, or, with 0, only
    /// one row below and one column on the right.
    pub downsample_padding: usize,
    /// Whether levels of the kind [`BlockType::Attention`] halve the resolution by residual blocks.
    pub resnet_downsample: bool,
    /// Whether levels of the kind [`BlockType::Attention`] double the resolution by residual blocks.
    pub resnet_upsample: bool,
    /// The dropout rate in training.
    pub dropout: f64,
    /// The activation of the residual blocks.
    pub act_fn: Activation,
    /// The number of channels of an attention head; `None` for one head.
    pub attention_head_dim: Option<usize>,
    /// The number of groups of the group norms.
    pub norm_num_groups: usize,
    /// The number of groups of the norm before the middle's attention; `None` for that of the others.
    pub attn_norm_num_groups: Option<usize>,
    /// What the group norms add to the variance.
    pub norm_eps: f64,
    /// Whether the conditioning vector scales and shifts the second norm of residual blocks.
    pub resnet_time_scale_shift: bool,
    /// Whether the middle has attention between its residual blocks.
    pub add_attention: bool,
    /// The class labels; `None` for a network without.
    pub class_embed: Option<ClassEmbed>,
}

/// How a U-Net embeds t.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeEmbedding {
    /// Sinusoids of t.
    Positional,
    /// Sinusoids of ln t at random frequencies, and a prediction that is divided by t: for networks
    /// that take the noise's standard deviation as t.
    ///
    /// Source: Song et al., *Score-Based Generative Modeling through Stochastic Differential
    /// Equations*, appendix H, arXiv 2011.13456.
    Fourier,
    /// A learned vector for each of this many timesteps.
    Learned(usize),
}

impl Default for UNet2dConfig {
    fn default() -> Self {
        use BlockType::{Attention, Plain};
        Self {
            in_channels: 3,
            out_channels: 3,
            center_input_sample: false,
            time_embedding_type: TimeEmbedding::Positional,
            time_embedding_dim: None,
            freq_shift: 0.0,
            flip_sin_to_cos: true,
            down_block_types: vec![Plain, Attention, Attention, Attention],
            mid_block: true,
            up_block_types: vec![Attention, Attention, Attention, Plain],
            block_out_channels: vec![224, 448, 672, 896],
            layers_per_block: 2,
            mid_block_scale_factor: 1.0,
            downsample_padding: 1,
            resnet_downsample: false,
            resnet_upsample: false,
            dropout: 0.0,
            act_fn: Activation::Silu,
            attention_head_dim: Some(8),
            norm_num_groups: 32,
            attn_norm_num_groups: None,
            norm_eps: 1e-5,
            resnet_time_scale_shift: false,
            add_attention: true,
            class_embed: None,
        }
    }
}

const BLOCKS: [BlockType; 5] = [
    BlockType::Plain,
    BlockType::Attention,
    BlockType::Resnet,
    BlockType::Skip,
    BlockType::AttentionSkip,
];

const READ: [&str; 27] = [
    "sample_size",
    "in_channels",
    "out_channels",
    "center_input_sample",
    "time_embedding_type",
    "num_train_timesteps",
    "time_embedding_dim",
    "freq_shift",
    "flip_sin_to_cos",
    "down_block_types",
    "mid_block_type",
    "up_block_types",
    "block_out_channels",
    "layers_per_block",
    "mid_block_scale_factor",
    "downsample_padding",
    "downsample_type",
    "upsample_type",
    "dropout",
    "act_fn",
    "attention_head_dim",
    "norm_num_groups",
    "attn_norm_num_groups",
    "norm_eps",
    "resnet_time_scale_shift",
    "add_attention",
    "class_embed_type",
];

impl UNet2dConfig {
    /// Reads the `config.json` of a `UNet2DModel` of diffusers. What it lacks has diffusers' default.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    ///
    /// ```
    /// use ddm_models::UNet2dConfig;
    /// let error = UNet2dConfig::from_diffusers(r#"{"act_fn": "sigmoid"}"#).unwrap_err();
    /// let says = r#"the model config has `act_fn` = "sigmoid", but it must be "silu" or"#;
    /// assert!(error.to_string().starts_with(says));
    /// ```
    pub fn from_diffusers(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::parse(json)?;
        settings.require("_class_name", &[json!("UNet2DModel")])?;
        settings.require_known(&[&READ, &["num_class_embeds"], &OF_TRAINING])?;
        let default = Self::default();
        let size = |name, default| settings.get::<usize>(name, "a size", default);
        let number = |name, default| settings.get::<f64>(name, "a number", default);
        let yes = |name, default| settings.get::<bool>(name, "true or false", default);
        let maybe = |name, default| settings.get::<Option<usize>>(name, "null or a size", default);
        let resnet = |name| settings.choose(name, &[("conv", false), ("resnet", true)]);
        let middle: Option<String> = settings.get(
            "mid_block_type",
            r#"null or "UNetMidBlock2D""#,
            Some("UNetMidBlock2D".to_owned()),
        )?;
        let config = Self {
            in_channels: size("in_channels", default.in_channels)?,
            out_channels: size("out_channels", default.out_channels)?,
            center_input_sample: yes("center_input_sample", default.center_input_sample)?,
            time_embedding_type: time_embedding(&settings)?,
            time_embedding_dim: maybe("time_embedding_dim", default.time_embedding_dim)?,
            freq_shift: number("freq_shift", default.freq_shift)?,
            flip_sin_to_cos: yes("flip_sin_to_cos", default.flip_sin_to_cos)?,
            down_block_types: BlockType::read(
                &settings,
                "down_block_types",
                &BLOCKS,
                BlockType::down_name,
                default.down_block_types,
            )?,
            // Whatever its name, diffusers makes the same middle.
            mid_block: middle.is_some(),
            up_block_types: BlockType::read(
                &settings,
                "up_block_types",
                &BLOCKS,
                BlockType::up_name,
                default.up_block_types,
            )?,
            block_out_channels: settings.get(
                "block_out_channels",
                "a list of sizes",
                default.block_out_channels,
            )?,
            layers_per_block: size("layers_per_block", default.layers_per_block)?,
            mid_block_scale_factor: number(
                "mid_block_scale_factor",
                default.mid_block_scale_factor,
            )?,
            downsample_padding: size("downsample_padding", default.downsample_padding)?,
            resnet_downsample: resnet("downsample_type")?,
            resnet_upsample: resnet("upsample_type")?,
            dropout: number("dropout", default.dropout)?,
            act_fn: settings.choose("act_fn", &ACTIVATIONS)?,
            attention_head_dim: maybe("attention_head_dim", default.attention_head_dim)?,
            norm_num_groups: size("norm_num_groups", default.norm_num_groups)?,
            attn_norm_num_groups: maybe("attn_norm_num_groups", default.attn_norm_num_groups)?,
            norm_eps: number("norm_eps", default.norm_eps)?,
            resnet_time_scale_shift: scale_shift(&settings)?,
            add_attention: yes("add_attention", default.add_attention)?,
            class_embed: class_embed(&settings, false)?,
        };
        let attends = config.mid_block && config.add_attention;
        if attends && config.resnet_time_scale_shift && config.attn_norm_num_groups.is_none() {
            // There diffusers leaves the norm out.
            let setting = "attn_norm_num_groups";
            return Err(settings.error(setting, "a size where the time scales and shifts"));
        }
        Ok(config)
    }
}

fn time_embedding(settings: &Settings) -> Result<TimeEmbedding, DiffusersError> {
    let choices = [
        ("positional", TimeEmbedding::Positional),
        ("fourier", TimeEmbedding::Fourier),
        ("learned", TimeEmbedding::Learned(0)),
    ];
    let timesteps: Option<usize> = settings.get("num_train_timesteps", "null or a size", None)?;
    match (settings.choose("time_embedding_type", &choices)?, timesteps) {
        (TimeEmbedding::Learned(_), Some(timesteps)) => Ok(TimeEmbedding::Learned(timesteps)),
        (TimeEmbedding::Learned(_), None) => Err(settings.error("num_train_timesteps", "a size")),
        (other, _) => Ok(other),
    }
}
