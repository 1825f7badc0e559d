//! A diffusers `scheduler_config.json`.

use std::str::FromStr;

use ddm_schedule::{Edm, Levels, NoiseLevel, NoiseSchedule, RectifiedFlow};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::class::Family;
use crate::defaults::defaults;
use crate::schedule::Angle;
use crate::settings::Settings;
use crate::wuerstchen::Wuerstchen;
use crate::{Class, ConfigError, Prediction, SetTimesteps, json};

/// A diffusers scheduler config: what it says, with the class's defaults for what it leaves out.
///
/// A config is a schedule, the levels of a run, a parameterization and a sampler; each has a method
/// of its own. Settings that contradict each other are refused when the config is read.
///
/// ```
/// use ddm_diffusers::SchedulerConfig;
/// let config: SchedulerConfig = r#"{
///     "_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
///     "beta_end": 0.012, "clip_sample": false, "steps_offset": 1, "skip_prk_steps": true
/// }"#.parse()?;
/// assert_eq!(config.unknown(), ["skip_prk_steps"]); // PNDM's; DDIM has no such setting
/// let levels = config.levels(50)?;
/// assert_eq!((levels[0].timestep, levels[49].timestep), (981.0, 1.0));
/// # Ok::<(), ddm_diffusers::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct SchedulerConfig {
    values: Map<String, Value>,
    unknown: Vec<String>,
    settings: Settings,
}

impl SchedulerConfig {
    /// The config of a class with nothing but defaults.
    pub fn new(class: Class) -> Result<Self, ConfigError> {
        Self::of(class, &Map::new())
    }

    /// Reads a JSON value; infinities may be strings, `"-Infinity"`.
    pub fn from_value(value: &Value) -> Result<Self, ConfigError> {
        let reason = "an object is needed".to_owned();
        let given = value.as_object().ok_or(ConfigError::NotJson { reason })?;
        let name = given.get("_class_name").and_then(Value::as_str).ok_or(ConfigError::NoClass)?;
        let class = Class::named(name)
            .ok_or_else(|| ConfigError::UnknownClass { found: name.to_owned() })?;
        Self::of(class, given)
    }

    fn of(class: Class, given: &Map<String, Value>) -> Result<Self, ConfigError> {
        let mut values = defaults(class);
        let (mut unknown, mut nulls) = (Vec::new(), Vec::new());
        for (key, value) in given.iter().filter(|(key, _)| !key.starts_with('_')) {
            match values.get_mut(key) {
                None => unknown.push(key.clone()),
                Some(Value::Null) if value.is_null() => {}
                Some(_) if value.is_null() => nulls.push(key.clone()),
                Some(slot) => {
                    require_kind(key, slot, value)?;
                    *slot = value.clone();
                }
            }
        }
        let settings = without_nulls(class, &mut values, &nulls)?;
        settings.check()?;
        for key in ["solver_p", "tau_func", "scale_factors"] {
            if values.get(key).is_some_and(|value| !value.is_null()) {
                let what = format!("`{key}` of {class}");
                return Err(ConfigError::Unsupported { what, change: "set it to null" });
            }
        }
        Ok(Self { values, unknown, settings })
    }

    /// The class.
    pub fn class(&self) -> Class {
        self.settings.class
    }

    /// Keys that were given, but that the class does not have; they change nothing.
    ///
    /// Keys that begin with `_` are no settings and are not among them.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// What a key says, by its default if it was left out; `None` if the class does not have it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The forward process.
    pub fn schedule(&self) -> Result<Box<dyn NoiseSchedule>, ConfigError> {
        let settings = &self.settings;
        Ok(match settings.class.family() {
            Family::FlowMatch => Box::new(RectifiedFlow),
            Family::Solver if settings.flow => Box::new(RectifiedFlow),
            Family::Edm => {
                let low = settings.sigma_min.unwrap_or(0.002);
                Box::new(Edm::new(low, settings.sigma_max.unwrap_or(80.0), settings.rho)?)
            }
            Family::Angle if self.class() == Class::DdpmWuerstchen => {
                Box::new(Wuerstchen::of(settings))
            }
            Family::Angle => Box::new(Angle::of(settings)),
            _ => Box::new(settings.beta_table()?),
        })
    }

    /// The levels of a run: diffusers' timesteps and sigmas. `set` is a number of steps, or all
    /// arguments of [`SetTimesteps`].
    ///
    /// Where diffusers repeats the last sigma, the last level lies
    /// 1e-10 of itself lower. Of `DDIMInverseScheduler` they are the levels of the way down; they are
    /// walked upwards, see [`invert`](Self::invert).
    ///
    /// # Errors
    ///
    /// Arguments that the class does not take, and steps that its table does not have.
    pub fn levels(&self, set: impl Into<SetTimesteps>) -> Result<Levels, ConfigError> {
        self.settings.levels(&set.into())
    }

    /// Whether the run goes from the data to noise: then [`invert`](Self::invert) is in place of a
    /// sampler.
    pub fn inverts(&self) -> bool {
        self.settings.class == Class::DdimInverse
    }

    /// What the network predicts.
    pub fn parameterization(&self) -> Result<Prediction, ConfigError> {
        Prediction::of(&self.settings)
    }

    /// What noise of unit variance is multiplied by to be the x of the first level.
    ///
    /// diffusers starts some runs at σ and others at √(σ² + 1), and flow at 1.
    pub fn start_scale(&self, first: NoiseLevel) -> f64 {
        self.settings.start_scale(first)
    }

    /// diffusers' own x is ours times this: some classes keep `x/α = x₀ + (σ/α) ε`.
    pub fn scale_to_theirs(&self, at: NoiseLevel) -> f64 {
        if self.settings.class.family() == Family::KDiffusion { 1.0 / at.alpha } else { 1.0 }
    }

    /// The config as a `scheduler_config.json`, every key of the class written out.
    pub fn to_json(&self) -> String {
        json::write(&Value::from(self.clone()))
    }

    /// Keys that were set to another value than the default and change nothing.
    pub(crate) fn idle(&self) -> impl Iterator<Item = &str> {
        let (defaults, settings) = (defaults(self.class()), &self.settings);
        let idle = self.values.iter().filter(move |(key, value)| {
            defaults.get(*key) != Some(*value) && !settings.counts(key)
        });
        idle.map(|(key, _)| key.as_str())
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl FromStr for SchedulerConfig {
    type Err = ConfigError;

    /// Reads the text of a `scheduler_config.json`; infinities may stand bare, as Python has them.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let value = json::parse(text)
            .map_err(|error| ConfigError::NotJson { reason: error.to_string() })?;
        Self::from_value(&value)
    }
}

impl TryFrom<Value> for SchedulerConfig {
    type Error = ConfigError;
    fn try_from(value: Value) -> Result<Self, ConfigError> {
        Self::from_value(&value)
    }
}

impl From<SchedulerConfig> for Value {
    fn from(config: SchedulerConfig) -> Self {
        let mut all = Map::new();
        all.insert("_class_name".to_owned(), config.class().name().into());
        all.extend(config.values);
        Self::Object(all)
    }
}

/// The settings where some keys are null, Python's None: false for a flag, and what it does in
/// diffusers for others, which is to fail, unless the key counts for nothing.
fn without_nulls(
    class: Class,
    values: &mut Map<String, Value>,
    nulls: &[String],
) -> Result<Settings, ConfigError> {
    for key in nulls {
        match values.get_mut(key) {
            Some(slot @ Value::Bool(_)) => *slot = Value::Bool(false),
            // No bound.
            Some(slot) if key == "sample_max_value" => *slot = "Infinity".into(),
            Some(slot) if key == "variance_type" => *slot = "fixed_small".into(),
            Some(slot) if key == "timestep_type" => *slot = "discrete".into(),
            _ => {}
        }
    }
    let settings = Settings::read(class, values)?;
    let free = ["sample_max_value", "variance_type", "timestep_type", "base_shift", "max_shift"];
    for key in nulls {
        let value = values.get(key).unwrap_or(&Value::Null);
        let counts = settings.counts(key) && !free.contains(&key.as_str()) && !value.is_boolean();
        let allowed = format!("set, or left out for its default {value}");
        ConfigError::require(!counts, key, "null", &allowed)?;
    }
    Ok(settings)
}

/// Refuses a value of another kind than the default's.
fn require_kind(key: &str, default: &Value, value: &Value) -> Result<(), ConfigError> {
    let numbers = |list: &Vec<Value>| list.iter().all(|item| json::number(item).is_some());
    let (good, allowed) = match default {
        Value::Bool(_) => (value.is_boolean(), "true or false"),
        // A whole range of numbers is checked where it is used; none of them may be NaN.
        _ if json::number(default).is_some() => {
            (json::number(value).is_some_and(|number| !number.is_nan()), "a number")
        }
        Value::String(_) => (value.is_string(), "a string"),
        Value::Array(_) => (value.as_array().is_some_and(numbers), "a list of numbers"),
        _ if key == "trained_betas" => {
            (value.as_array().is_some_and(numbers), "a list of numbers, or null")
        }
        _ if key.starts_with("sigma_") || key == "shift_terminal" => {
            let finite = json::number(value).is_some_and(|number| number.is_finite());
            (finite && json::number(value) >= Some(0.0), "a number of at least 0, or null")
        }
        _ => (true, ""),
    };
    ConfigError::require(good, key, value, allowed)
}
