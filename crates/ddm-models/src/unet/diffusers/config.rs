//! The config of a `UNet2DModel` of diffusers.

use serde_json::{Value, json};

use super::DiffusersError;
use crate::UNetConfig;
use crate::settings::Settings;

/// The settings that act on the numbers and have one value here, with what is allowed. The first
/// value is diffusers' default.
fn fixed() -> [(&'static str, Vec<Value>); 10] {
    [
        ("_class_name", vec![json!("UNet2DModel")]),
        ("center_input_sample", vec![json!(false)]),
        ("time_embedding_type", vec![json!("positional")]),
        ("mid_block_type", vec![json!("UNetMidBlock2D")]),
        ("mid_block_scale_factor", vec![json!(1), json!(1.0)]),
        ("downsample_type", vec![json!("conv")]),
        ("upsample_type", vec![json!("conv")]),
        ("act_fn", vec![json!("silu"), json!("swish")]),
        ("resnet_time_scale_shift", vec![json!("default")]),
        ("class_embed_type", vec![Value::Null]),
    ]
}

/// The settings that [`UNetConfig`] has.
const READ: [&str; 17] = [
    "in_channels",
    "out_channels",
    "block_out_channels",
    "layers_per_block",
    "down_block_types",
    "up_block_types",
    "add_attention",
    "attention_head_dim",
    "norm_num_groups",
    "attn_norm_num_groups",
    "norm_eps",
    "downsample_padding",
    "flip_sin_to_cos",
    "freq_shift",
    "time_embedding_dim",
    "dropout",
    "num_class_embeds",
];

/// The settings that do not act on the numbers: the size of the training images, the number of
/// timesteps (of a learned time embedding), and the settings of the average of weights that
/// diffusers' training saves beside them.
const WITHOUT_EFFECT: [&str; 9] = [
    "sample_size",
    "num_train_timesteps",
    "decay",
    "inv_gamma",
    "min_decay",
    "optimization_step",
    "power",
    "update_after_step",
    "use_ema_warmup",
];

impl UNetConfig {
    /// Reads the `config.json` of a `UNet2DModel` of diffusers. What it lacks has diffusers'
    /// default.
    ///
    /// Covered are the blocks `DownBlock2D`, `AttnDownBlock2D`, `UpBlock2D`, `AttnUpBlock2D` and
    /// `UNetMidBlock2D`, a positional time embedding, and class labels.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    ///
    /// ```
    /// use ddm_models::UNetConfig;
    /// let blocks = r#""down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]"#;
    /// let json = format!(r#"{{{blocks}, "block_out_channels": [32], "act_fn": "mish"}}"#);
    /// let error = UNetConfig::from_diffusers(&json).unwrap_err();
    /// let says = r#"the model config has `act_fn` = "mish", but it must be "silu" or "swish""#;
    /// assert_eq!(error.to_string(), says);
    /// ```
    pub fn from_diffusers(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::parse(json)?;
        let fixed = fixed();
        for (setting, allowed) in &fixed {
            settings.require(setting, allowed)?;
        }
        settings.require_known(&[&fixed.map(|(setting, _)| setting), &READ, &WITHOUT_EFFECT])?;
        let channels: Vec<usize> =
            settings.get("block_out_channels", "sizes", vec![224, 448, 672, 896])?;
        let attention = settings.attention(channels.len())?;
        settings.require_embedding(&channels)?;
        let norm_groups = settings.get("norm_num_groups", "a size", 32)?;
        let of_attention: Option<usize> =
            settings.get("attn_norm_num_groups", "null or a size", None)?;
        if of_attention.is_some_and(|groups| groups != norm_groups) {
            let allowed = format!("null or {norm_groups}, that of `norm_num_groups`");
            return Err(settings.error("attn_norm_num_groups", &allowed));
        }
        Ok(Self {
            in_channels: settings.get("in_channels", "a size", 3)?,
            out_channels: settings.get("out_channels", "a size", 3)?,
            channels,
            blocks: settings.get("layers_per_block", "a size", 2)?,
            attention,
            middle_attention: settings.get("add_attention", "true or false", true)?,
            head_size: settings.get("attention_head_dim", "null or a size", Some(8))?,
            norm_groups,
            norm_eps: settings.get("norm_eps", "a number", 1e-5)?,
            downsample_padding: settings.get("downsample_padding", "0 or 1", 1)?,
            flip_sin_to_cos: settings.get("flip_sin_to_cos", "true or false", true)?,
            freq_shift: settings.get("freq_shift", "a number", 0.0)?,
            dropout: settings.get("dropout", "a number", 0.0)?,
            classes: settings.get("num_class_embeds", "null or a size", None)?,
        })
    }
}

impl Settings {
    /// Returns the levels with attention, finest first; the way up must have the same.
    fn attention(&self, levels: usize) -> Result<Vec<usize>, DiffusersError> {
        let (plain, attends) = ("DownBlock2D", "AttnDownBlock2D");
        let down: Vec<String> = self.get(
            "down_block_types",
            "a list of names",
            vec![plain.into(), attends.into(), attends.into(), attends.into()],
        )?;
        let covered = down.iter().all(|name| [plain, attends].contains(&name.as_str()));
        if !covered || down.len() != levels {
            let allowed = format!("{levels} of \"{plain}\" and \"{attends}\", one per level");
            return Err(self.error("down_block_types", &allowed));
        }
        let up: Vec<_> = down.iter().rev().map(|name| name.replace("Down", "Up")).collect();
        let found: Vec<String> = self.get(
            "up_block_types",
            "a list of names",
            ["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"].map(Into::into).into(),
        )?;
        if found != up {
            let allowed = format!("{}, the levels of `down_block_types`", json!(up));
            return Err(self.error("up_block_types", &allowed));
        }
        Ok((0..levels).filter(|&level| down[level] == attends).collect())
    }

    /// Checks the sizes of the time embedding.
    fn require_embedding(&self, channels: &[usize]) -> Result<(), DiffusersError> {
        let first = channels.first().copied().unwrap_or_default();
        if !first.is_multiple_of(2) {
            return Err(self.error("block_out_channels", "a list whose first entry is even"));
        }
        let size: Option<usize> = self.get("time_embedding_dim", "null or a size", None)?;
        if size.is_some_and(|size| size != 4 * first) {
            let allowed = format!("null or {}, 4 times the first channels", 4 * first);
            return Err(self.error("time_embedding_dim", &allowed));
        }
        Ok(())
    }
}
