//! The config of a `UNet2DConditionModel` of diffusers.

use serde_json::{Value, json};

use super::config::UNet2dConditionConfig;
use crate::DiffusersError;
use crate::blocks::ContextNorm;
use crate::settings::{OF_TRAINING, Settings};
use crate::unets::BlockType;
use crate::unets::choices::{
    ACTIVATIONS, addition_embed, class_embed, encoder_hid_dim, mid_block, optional, scale_shift,
};

const BLOCKS: [BlockType; 5] = [
    BlockType::CrossAttention,
    BlockType::Plain,
    BlockType::Attention,
    BlockType::Resnet,
    BlockType::SimpleCrossAttention,
];

/// Settings that are read with certain values of others only.
pub(in crate::unets) const UNREAD: [&str; 5] = [
    "num_class_embeds",
    "projection_class_embeddings_input_dim",
    "addition_embed_type_num_heads",
    "addition_time_embed_dim",
    "encoder_hid_dim",
];

impl UNet2dConditionConfig {
    /// Reads the `config.json` of a `UNet2DConditionModel` of diffusers. What it lacks has diffusers'
    /// default.
    ///
    /// Not covered are the blocks of the K-upscaler and of GLIGEN, dual cross attention, and the image
    /// embeddings of Kandinsky.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    ///
    /// ```
    /// use ddm_models::UNet2dConditionConfig;
    /// let error = UNet2dConditionConfig::from_diffusers(r#"{"attention_type": "gated"}"#).unwrap_err();
    /// let says = r#"the model config has `attention_type` = "gated", but it must be "default""#;
    /// assert_eq!(error.to_string(), says);
    /// ```
    pub fn from_diffusers(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::parse(json)?;
        let fixed = [
            ("_class_name", json!("UNet2DConditionModel")),
            ("num_attention_heads", Value::Null),
            ("dual_cross_attention", json!(false)),
            ("time_embedding_type", json!("positional")),
            ("attention_type", json!("default")),
        ];
        for (setting, value) in &fixed {
            settings.require(setting, std::slice::from_ref(value))?;
        }
        let config = Self::read(&settings)?;
        settings.finish(&[&UNREAD, &OF_TRAINING[..]].concat())?;
        Ok(config)
    }

    /// Reads the settings that are there.
    pub(in crate::unets) fn read(settings: &Settings) -> Result<Self, DiffusersError> {
        let default = Self::default();
        let size = |name, default| settings.get::<usize>(name, "a size", default);
        let number = |name, default| settings.get::<f64>(name, "a number", default);
        let yes = |name, default| settings.get::<bool>(name, "true or false", default);
        let maybe = |name| settings.get::<Option<usize>>(name, "null or a size", None);
        let activation = |name| optional(settings, name, &ACTIVATIONS);
        let (per_level, layers) =
            ("a size, or a list of sizes", "a size, or a list of sizes or lists");
        let config = Self {
            in_channels: size("in_channels", default.in_channels)?,
            out_channels: size("out_channels", default.out_channels)?,
            center_input_sample: yes("center_input_sample", default.center_input_sample)?,
            flip_sin_to_cos: yes("flip_sin_to_cos", default.flip_sin_to_cos)?,
            freq_shift: number("freq_shift", default.freq_shift)?,
            down_block_types: BlockType::read(
                settings,
                "down_block_types",
                &BLOCKS,
                BlockType::down_name,
                default.down_block_types,
            )?,
            mid_block_type: mid_block(settings, default.mid_block_type)?,
            up_block_types: BlockType::read(
                settings,
                "up_block_types",
                &BLOCKS,
                BlockType::up_name,
                default.up_block_types,
            )?,
            only_cross_attention: settings.get(
                "only_cross_attention",
                "true, false, or a list of these",
                default.only_cross_attention,
            )?,
            mid_block_only_cross_attention: settings.get(
                "mid_block_only_cross_attention",
                "null, true or false",
                None,
            )?,
            block_out_channels: settings.get(
                "block_out_channels",
                "a list of sizes",
                default.block_out_channels,
            )?,
            layers_per_block: settings.get(
                "layers_per_block",
                per_level,
                default.layers_per_block,
            )?,
            downsample_padding: size("downsample_padding", default.downsample_padding)?,
            mid_block_scale_factor: number(
                "mid_block_scale_factor",
                default.mid_block_scale_factor,
            )?,
            dropout: number("dropout", default.dropout)?,
            act_fn: settings.choose("act_fn", &ACTIVATIONS)?,
            norm_num_groups: size("norm_num_groups", default.norm_num_groups)?,
            norm_eps: number("norm_eps", default.norm_eps)?,
            cross_attention_dim: settings.get(
                "cross_attention_dim",
                per_level,
                default.cross_attention_dim,
            )?,
            transformer_layers_per_block: settings.get(
                "transformer_layers_per_block",
                layers,
                default.transformer_layers_per_block,
            )?,
            reverse_transformer_layers_per_block: settings.get(
                "reverse_transformer_layers_per_block",
                "null, or a list of sizes or lists",
                None,
            )?,
            encoder_hid_dim: encoder_hid_dim(settings)?,
            attention_head_dim: settings.get(
                "attention_head_dim",
                per_level,
                default.attention_head_dim,
            )?,
            use_linear_projection: yes("use_linear_projection", default.use_linear_projection)?,
            class_embed: class_embed(settings, true)?,
            class_embeddings_concat: yes("class_embeddings_concat", false)?,
            addition_embed: addition_embed(settings)?,
            upcast_attention: yes("upcast_attention", default.upcast_attention)?,
            resnet_time_scale_shift: scale_shift(settings)?,
            resnet_skip_time_act: yes("resnet_skip_time_act", default.resnet_skip_time_act)?,
            resnet_out_scale_factor: number(
                "resnet_out_scale_factor",
                default.resnet_out_scale_factor,
            )?,
            time_embedding_dim: maybe("time_embedding_dim")?,
            time_embedding_act_fn: activation("time_embedding_act_fn")?,
            timestep_post_act: activation("timestep_post_act")?,
            time_cond_proj_dim: maybe("time_cond_proj_dim")?,
            conv_in_kernel: size("conv_in_kernel", default.conv_in_kernel)?,
            conv_out_kernel: size("conv_out_kernel", default.conv_out_kernel)?,
            cross_attention_norm: optional(
                settings,
                "cross_attention_norm",
                &[("layer_norm", ContextNorm::Layer), ("group_norm", ContextNorm::Group)],
            )?,
        };
        Ok(config)
    }
}
