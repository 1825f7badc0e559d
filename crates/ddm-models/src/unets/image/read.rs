//! The config of a `UNet2DModel` of diffusers.

use serde::Deserialize;

use super::config::{TimeEmbedding, UNet2dConfig};
use crate::DiffusersError;
use crate::settings::{OF_TRAINING, Settings};
use crate::unets::BlockType;
use crate::unets::choices::{ACTIVATIONS, class_embed, scale_shift};

const BLOCKS: [BlockType; 5] = [
    BlockType::Plain,
    BlockType::Attention,
    BlockType::Resnet,
    BlockType::Skip,
    BlockType::AttentionSkip,
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
        let settings = Settings::of_class(json, "UNet2DModel")?;
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
            sample_size: sample_size(&settings)?,
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
            null_class: yes("null_class", default.null_class)?,
        };
        // Of two settings for the same thing, one is not read.
        settings.finish(&[&["num_class_embeds"], &OF_TRAINING[..]].concat())?;
        Ok(config)
    }
}

/// Reads a size, that of a square, or a height and a width.
fn sample_size(settings: &Settings) -> Result<Option<[usize; 2]>, DiffusersError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Sides {
        Square(usize),
        Both([usize; 2]),
    }
    let sides: Option<Sides> =
        settings.get("sample_size", "null, a size, or a height and a width", None)?;
    Ok(sides.map(|sides| match sides {
        Sides::Square(side) => [side, side],
        Sides::Both(sides) => sides,
    }))
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
