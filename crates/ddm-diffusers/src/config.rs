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

/// A diffusers scheduler config: the given values, and the class's defaults for missing keys.
///
/// A config gives a schedule, the levels of a run, a parameterization and a sampler, each by its
/// method. Reading a config whose settings contradict each other is an error.
///
/// ```
/// use ddm_diffusers::SchedulerConfig;
/// let config: SchedulerConfig = r#"{
///     "_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
///     "beta_end": 0.012, "clip_sample": false, "steps_offset": 1, "skip_prk_steps": true
/// }"#.parse()?;
/// assert_eq!(config.unknown(), ["skip_prk_steps"]); // a setting of PNDM, not of DDIM
/// let levels = config.levels(50)?;
/// assert_eq!((levels[0].timestep, levels[49].timestep), (981.0, 1.0));
/// # Ok::<(), ddm_diffusers::ConfigError>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct SchedulerConfig {
    /// What was given, without metadata.
    given: Map<String, Value>,
    values: Map<String, Value>,
    unknown: Vec<String>,
    settings: Settings,
}

/// Two configs are equal if all their values are, given or not.
impl PartialEq for SchedulerConfig {
    fn eq(&self, other: &Self) -> bool {
        (self.class(), &self.values, &self.unknown)
            == (other.class(), &other.values, &other.unknown)
    }
}

impl SchedulerConfig {
    /// Creates the config of a class from its defaults.
    ///
    /// # Errors
    ///
    /// Returns an error if the defaults are invalid, which does not occur for [`Class::ALL`].
    pub fn new(class: Class) -> Result<Self, ConfigError> {
        Self::of(class, &Map::new())
    }

    /// Reads a JSON value; infinities may be strings, such as `"-Infinity"`.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is not an object, the class is missing or not covered, a value
    /// has the wrong type or is out of range, or settings contradict each other.
    pub fn from_value(value: &Value) -> Result<Self, ConfigError> {
        let reason = "the top level must be an object".to_owned();
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
        let mut given = given.clone();
        given.retain(|key, _| !key.starts_with('_'));
        Ok(Self { given, values, unknown, settings })
    }

    /// Returns the config of another class, with the settings that were given for this one, where the
    /// class has them, and with `changes`; as diffusers' `from_config`.
    ///
    /// ```
    /// use ddm_diffusers::{Class, SchedulerConfig};
    /// let saved: SchedulerConfig =
    ///     r#"{"_class_name": "PNDMScheduler", "beta_end": 0.012, "skip_prk_steps": true}"#.parse()?;
    /// let euler = saved.with_class(Class::EulerDiscrete, [("use_karras_sigmas", true.into())])?;
    /// assert_eq!(euler.get("beta_end"), Some(&0.012.into()));
    /// assert_eq!(euler.get("timestep_spacing"), Some(&"linspace".into())); // Euler's default
    /// # Ok::<(), ddm_diffusers::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the settings are invalid for the class.
    pub fn with_class<'a>(
        &self,
        class: Class,
        changes: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Result<Self, ConfigError> {
        let mut given = self.given.clone();
        given.extend(changes.into_iter().map(|(key, value)| (key.to_owned(), value)));
        let known = defaults(class);
        given.retain(|key, _| known.contains_key(key));
        Self::of(class, &given)
    }

    /// Returns the scheduler class.
    pub fn class(&self) -> Class {
        self.settings.class
    }

    /// Returns the given keys that the class does not have; they change nothing.
    ///
    /// Keys that begin with `_` are metadata, not settings, and are left out.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Returns the value of a key, or its default if it was missing; `None` if the class does not
    /// have the key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Returns the noise schedule.
    ///
    /// # Errors
    ///
    /// Returns an error if the βs or the EDM settings are invalid.
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

    /// Returns the levels of a run: diffusers' timesteps and sigmas. `set` is a number of steps, or
    /// the arguments in [`SetTimesteps`].
    ///
    /// Where diffusers repeats the last sigma, the last level is lower by a factor 1 − 1e-10.
    /// `DDIMInverseScheduler` returns them from noise to data, too; [`invert`](Self::invert) walks
    /// them upwards.
    ///
    /// # Errors
    ///
    /// Returns an error if the class does not take an argument, or if its table has too few rows.
    pub fn levels(&self, set: impl Into<SetTimesteps>) -> Result<Levels, ConfigError> {
        self.settings.levels(&set.into())
    }

    /// Returns whether the run goes from data to noise; then [`invert`](Self::invert) replaces the
    /// sampler.
    pub fn inverts(&self) -> bool {
        self.settings.class == Class::DdimInverse
    }

    /// Returns what the network predicts.
    ///
    /// # Errors
    ///
    /// Returns an error if `sigma_data` or `sigma_min` is out of range.
    pub fn parameterization(&self) -> Result<Prediction, ConfigError> {
        Prediction::of(&self.settings)
    }

    /// Returns the factor that turns noise of unit variance into x at the first level.
    ///
    /// diffusers starts some classes at σ, others at √(σ² + 1), and flow at 1.
    pub fn start_scale(&self, first: NoiseLevel) -> f64 {
        self.settings.start_scale(first)
    }

    /// Returns the factor from our x to diffusers' x: some classes keep `x/α = x₀ + (σ/α) ε`.
    pub fn scale_to_theirs(&self, at: NoiseLevel) -> f64 {
        if self.settings.class.family() == Family::KDiffusion { 1.0 / at.alpha } else { 1.0 }
    }

    /// Returns the config as a `scheduler_config.json` with every key of the class.
    pub fn to_json(&self) -> String {
        json::write(&Value::from(self.clone()))
    }

    /// Returns the keys whose value differs from the default and has no effect.
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

    /// Reads the text of a `scheduler_config.json`; infinities may be bare, as Python writes them.
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

/// Reads settings in which some keys are null (Python's None). A null flag is false. Other null
/// keys are an error, as in diffusers, unless they have no effect or diffusers accepts None.
fn without_nulls(
    class: Class,
    values: &mut Map<String, Value>,
    nulls: &[String],
) -> Result<Settings, ConfigError> {
    for key in nulls {
        match values.get_mut(key) {
            Some(slot @ Value::Bool(_)) => *slot = Value::Bool(false),
            // No upper bound.
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
        let fails = settings.counts(key) && !free.contains(&key.as_str()) && !value.is_boolean();
        let allowed = format!("set, or omitted for its default {value}");
        ConfigError::require(!fails, key, "null", &allowed)?;
    }
    Ok(settings)
}

/// Returns an error if the value has another type than the default.
fn require_kind(key: &str, default: &Value, value: &Value) -> Result<(), ConfigError> {
    let numbers = |list: &Vec<Value>| list.iter().all(|item| json::number(item).is_some());
    let (good, allowed) = match default {
        Value::Bool(_) => (value.is_boolean(), "true or false"),
        // Ranges are checked later; only NaN is always invalid.
        _ if json::number(default).is_some() => {
            (json::number(value).is_some_and(|number| !number.is_nan()), "a number (not NaN)")
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
