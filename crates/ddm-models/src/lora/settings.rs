//! What PEFT and diffusers write beside the tensors: α, which files of theirs have no tensor of.

use std::collections::BTreeMap;
use std::path::Path;

use ddm_weights::{Tensors, WeightsError};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{LoraError, Part};

/// The entry of safetensors' metadata that diffusers writes: a JSON object of `part.setting`.
pub(super) const METADATA: &str = "lora_adapter_metadata";
/// The file that PEFT writes beside `adapter_model.safetensors`.
const FILE: &str = "adapter_config.json";

/// The settings of one part.
#[derive(Debug, Deserialize)]
pub(super) struct Settings {
    peft_type: Option<String>,
    lora_alpha: Option<f64>,
    alpha_pattern: Option<BTreeMap<String, f64>>,
    use_rslora: Option<bool>,
    use_dora: Option<bool>,
}

impl Settings {
    /// Reads those of a part from the metadata of a file, if there are any.
    pub(super) fn of(tensors: &Tensors, part: Part) -> Result<Option<Self>, LoraError> {
        let Some(json) = tensors.metadata().get(METADATA) else { return Ok(None) };
        let path = tensors.origin();
        let all: Map<String, Value> = serde_json::from_str(json).map_err(|e| invalid(path, &e))?;
        let prefix = format!("{part}.");
        let own = all.into_iter().filter_map(|(name, value)| {
            name.strip_prefix(&prefix).map(|name| (name.to_owned(), value))
        });
        let own: Map<String, Value> = own.collect();
        if own.is_empty() { Ok(None) } else { Self::parse(Value::Object(own), path).map(Some) }
    }

    /// Reads `adapter_config.json` beside a file of PEFT, if it is there.
    pub(super) fn beside(file: &Path) -> Result<Option<Self>, LoraError> {
        let path = file.with_file_name(FILE);
        let json = match std::fs::read_to_string(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WeightsError::Read { path, source }.into()),
        };
        let value = serde_json::from_str(&json).map_err(|error| invalid(&path, &error))?;
        Self::parse(value, &path).map(Some)
    }

    fn parse(value: Value, path: &Path) -> Result<Self, LoraError> {
        let settings: Self = serde_json::from_value(value).map_err(|e| invalid(path, &e))?;
        let unsupported = |kind, tensor: String| {
            Err(LoraError::Unsupported { path: path.to_owned(), kind, tensor })
        };
        match &settings.peft_type {
            Some(kind) if kind != "LORA" => {
                return unsupported("another adapter", format!("`peft_type` is {kind}"));
            }
            _ if settings.use_dora == Some(true) => {
                return unsupported("DoRA", "`use_dora` is true".to_owned());
            }
            _ => {}
        }
        for pattern in settings.alpha_pattern.iter().flat_map(BTreeMap::keys) {
            if literal(pattern).is_none() {
                let reason =
                    format!("have the pattern {pattern:?}; only names of layers can be read");
                return Err(LoraError::Settings { path: path.to_owned(), reason });
            }
        }
        Ok(settings)
    }

    /// The factor of a layer's product: α / rank, or α / √rank.
    pub(super) fn scale(&self, layer: &str, rank: f64) -> f64 {
        let mut patterns = self.alpha_pattern.iter().flatten();
        let own = patterns.find(|(pattern, _)| fits(pattern, layer)).map(|(_, alpha)| *alpha);
        // PEFT always writes α; without it, it is as in files that have no settings.
        let alpha = own.or(self.lora_alpha).unwrap_or(rank);
        alpha / if self.use_rslora == Some(true) { rank.sqrt() } else { rank }
    }
}

fn invalid(path: &Path, error: &serde_json::Error) -> LoraError {
    let reason = format!("are not valid: {error}");
    LoraError::Settings { path: path.to_owned(), reason }
}

/// The end of a layer's name, and whether it is all of it, for a pattern that is one: PEFT's are regular
/// expressions, but names are what is written there.
fn literal(pattern: &str) -> Option<(&str, bool)> {
    let (name, whole) = pattern.strip_prefix('^').map_or((pattern, false), |name| (name, true));
    let name = name.strip_suffix('$').unwrap_or(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.chars().all(plain).then_some((name, whole))
}

fn fits(pattern: &str, layer: &str) -> bool {
    literal(pattern).is_some_and(|(name, whole)| match layer.strip_suffix(name) {
        Some("") => true,
        Some(before) => !whole && before.ends_with('.'),
        None => false,
    })
}
