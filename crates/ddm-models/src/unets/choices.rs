//! Settings of diffusers that are names.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::class_embedding::ClassEmbed;
use super::condition::config::{AdditionEmbed, MidBlockType};
use crate::DiffusersError;
use crate::blocks::Activation;
use crate::settings::Settings;

/// The activations, by diffusers' names.
pub(super) const ACTIVATIONS: [(&str, Activation); 5] = [
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("gelu", Activation::Gelu),
    ("mish", Activation::Mish),
    ("relu", Activation::Relu),
];

/// Returns diffusers' name of an activation.
pub(super) fn activation_name(activation: Activation) -> Result<&'static str, DiffusersError> {
    let named = ACTIVATIONS.iter().find(|(_, known)| *known == activation);
    named.map(|&(name, _)| name).ok_or_else(|| DiffusersError::Setting {
        setting: "act_fn".to_owned(),
        found: format!("{activation:?}"),
        allowed: ACTIVATIONS.map(|(name, _)| name).join(", "),
    })
}

/// Reads whether the conditioning vector scales and shifts.
pub(super) fn scale_shift(settings: &Settings) -> Result<bool, DiffusersError> {
    settings.choose("resnet_time_scale_shift", &[("default", false), ("scale_shift", true)])
}

/// Reads a choice that may be null, which is the default.
pub(super) fn optional<T: Copy>(
    settings: &Settings,
    setting: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, DiffusersError> {
    if settings.get(setting, "", Some(Value::Null))?.is_none_or(|value: Value| value.is_null()) {
        return Ok(None);
    }
    settings.choose(setting, choices).map(Some)
}

/// Reads the kind of the middle.
pub(super) fn mid_block(
    settings: &Settings,
    default: Option<MidBlockType>,
) -> Result<Option<MidBlockType>, DiffusersError> {
    let setting = "mid_block_type";
    let absent = json!("");
    if settings.get(setting, "", absent.clone())? == absent {
        return Ok(default);
    }
    let choices = [
        ("UNetMidBlock2DCrossAttn", MidBlockType::CrossAttention),
        ("UNetMidBlock2D", MidBlockType::Plain),
        ("UNetMidBlock2DSimpleCrossAttn", MidBlockType::SimpleCrossAttention),
    ];
    optional(settings, setting, &choices)
}

/// Returns a size that another setting makes necessary.
fn necessary<T: DeserializeOwned>(settings: &Settings, setting: &str) -> Result<T, DiffusersError> {
    match settings.get::<Option<T>>(setting, "a size", None)? {
        Some(value) => Ok(value),
        None => Err(settings.error(setting, "a size")),
    }
}

/// Reads the channels of a text that is projected.
pub(super) fn encoder_hid_dim(settings: &Settings) -> Result<Option<usize>, DiffusersError> {
    match optional(settings, "encoder_hid_dim_type", &[("text_proj", ())])? {
        Some(()) => necessary(settings, "encoder_hid_dim").map(Some),
        None => settings.get("encoder_hid_dim", "null or a size", None),
    }
}

/// Reads the class labels; projections are of text-conditional networks only.
pub(super) fn class_embed(
    settings: &Settings,
    projections: bool,
) -> Result<Option<ClassEmbed>, DiffusersError> {
    let choices = [
        ("timestep", ClassEmbed::Timestep),
        ("identity", ClassEmbed::Identity),
        ("projection", ClassEmbed::Projection(0)),
        ("simple_projection", ClassEmbed::SimpleProjection(0)),
    ];
    let choices = if projections { &choices[..] } else { &choices[..2] };
    let size = "projection_class_embeddings_input_dim";
    Ok(match optional(settings, "class_embed_type", choices)? {
        None => settings
            .get::<Option<usize>>("num_class_embeds", "null or a size", None)?
            .map(ClassEmbed::Table),
        Some(ClassEmbed::Projection(_)) => Some(ClassEmbed::Projection(necessary(settings, size)?)),
        Some(ClassEmbed::SimpleProjection(_)) => {
            Some(ClassEmbed::SimpleProjection(necessary(settings, size)?))
        }
        other => other,
    })
}

/// Reads the further conditions.
pub(super) fn addition_embed(settings: &Settings) -> Result<Option<AdditionEmbed>, DiffusersError> {
    let choices = [("text", false), ("text_time", true)];
    Ok(match optional(settings, "addition_embed_type", &choices)? {
        None => None,
        Some(false) => {
            let heads = settings.get("addition_embed_type_num_heads", "a size", 64)?;
            Some(AdditionEmbed::Text { heads })
        }
        Some(true) => Some(AdditionEmbed::TextTime {
            sinusoids: necessary(settings, "addition_time_embed_dim")?,
            size: necessary(settings, "projection_class_embeddings_input_dim")?,
        }),
    })
}
