//! A `config.json`, setting by setting.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::DiffusersError;

/// The settings of a `config.json` of diffusers or transformers. Those that are never read are not
/// known; [`finish`](Self::finish) names one.
#[derive(Debug)]
pub(crate) struct Settings {
    all: Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

impl Settings {
    /// Reads a JSON object.
    pub(crate) fn parse(json: &str) -> Result<Self, DiffusersError> {
        match serde_json::from_str::<Map<String, Value>>(json) {
            Ok(all) => Ok(Self { all, read: RefCell::default() }),
            Err(error) => Err(DiffusersError::NotJson { reason: error.to_string() }),
        }
    }

    /// Reads the settings of a model of this class of diffusers.
    pub(crate) fn of_class(json: &str, class: &str) -> Result<Self, DiffusersError> {
        let settings = Self::parse(json)?;
        settings.require("_class_name", &[class.into()])?;
        Ok(settings)
    }

    fn find(&self, setting: &str) -> Option<&Value> {
        self.read.borrow_mut().insert(setting.to_owned());
        self.all.get(setting)
    }

    /// Returns the value of a setting, or `default` if it is absent.
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        setting: &str,
        allowed: &str,
        default: T,
    ) -> Result<T, DiffusersError> {
        let Some(value) = self.find(setting) else { return Ok(default) };
        serde_json::from_value(value.clone()).map_err(|_| self.error(setting, allowed))
    }

    /// Returns what a setting's name stands for in `choices`; the first if it is absent.
    pub(crate) fn choose<T: Copy>(
        &self,
        setting: &str,
        choices: &[(&str, T)],
    ) -> Result<T, DiffusersError> {
        let found = match self.find(setting) {
            None => choices.first(),
            Some(value) => choices.iter().find(|(name, _)| value.as_str() == Some(name)),
        };
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        found.map(|&(_, choice)| choice).ok_or_else(|| self.error(setting, &names.join(" or ")))
    }

    /// Checks a setting that must have one of these values, or be absent.
    pub(crate) fn require(&self, setting: &str, allowed: &[Value]) -> Result<(), DiffusersError> {
        if self.find(setting).is_none_or(|value| allowed.contains(value)) {
            return Ok(());
        }
        let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
        Err(self.error(setting, &allowed.join(" or ")))
    }

    /// Checks that all settings were read, but for those that start with an underscore, and those
    /// `without_effect` on the numbers.
    pub(crate) fn finish(&self, without_effect: &[&str]) -> Result<(), DiffusersError> {
        let read = self.read.borrow();
        let known = |name: &str| {
            name.starts_with('_') || read.contains(name) || without_effect.contains(&name)
        };
        match self.all.keys().find(|name| !known(name)) {
            Some(unknown) => Err(self.error(unknown, "absent: it is not known")),
            None => Ok(()),
        }
    }

    /// Returns the error that names a setting of the file.
    pub(crate) fn error(&self, setting: &str, allowed: &str) -> DiffusersError {
        let found = self.all.get(setting).map_or_else(|| "(absent)".to_owned(), Value::to_string);
        DiffusersError::Setting { setting: setting.to_owned(), found, allowed: allowed.to_owned() }
    }
}

/// Settings without effect on the numbers: the size of the training images, and those of the average of
/// weights that diffusers' training saves beside a network's own.
pub(crate) const OF_TRAINING: [&str; 8] = [
    "sample_size",
    "decay",
    "inv_gamma",
    "min_decay",
    "optimization_step",
    "power",
    "update_after_step",
    "use_ema_warmup",
];
