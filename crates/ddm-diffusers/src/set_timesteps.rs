//! The arguments of diffusers' `set_timesteps`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Class, ConfigError, json};

/// The arguments of diffusers' `set_timesteps`: a number of steps, or the sigmas or timesteps
/// themselves, and μ.
///
/// A plain number of steps converts to it: `config.levels(20)`.
///
/// ```
/// use ddm_diffusers::{Class, SchedulerConfig, SetTimesteps};
/// let text = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true}"#;
/// let flux: SchedulerConfig = text.parse()?;
/// // The arguments of the Flux pipeline for 4 steps.
/// let levels = flux.levels(SetTimesteps::sigmas([1.0, 0.75, 0.5, 0.25]).mu(1.15))?;
/// assert_eq!((levels.steps(), levels[0].timestep), (4, 1000.0));
/// # Ok::<(), ddm_diffusers::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetTimesteps {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) num_inference_steps: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sigmas: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timesteps: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mu: Option<f64>,
}

impl SetTimesteps {
    /// Creates the arguments for a number of steps, spaced by the config.
    pub fn steps(steps: usize) -> Self {
        Self { num_inference_steps: Some(steps), ..Self::default() }
    }

    /// Creates the arguments from sigmas, before the shift of the config: σ for flow matching, σ/α
    /// for `EulerDiscreteScheduler`, which includes the end of the run.
    pub fn sigmas(sigmas: impl IntoIterator<Item = f64>) -> Self {
        Self { sigmas: Some(sigmas.into_iter().collect()), ..Self::default() }
    }

    /// Creates the arguments from timesteps.
    pub fn timesteps(timesteps: impl IntoIterator<Item = f64>) -> Self {
        Self { timesteps: Some(timesteps.into_iter().collect()), ..Self::default() }
    }

    /// Returns the number of steps, if it is given as one.
    pub fn number(&self) -> Option<usize> {
        self.num_inference_steps
    }

    /// Sets the resolution-dependent shift μ, which `use_dynamic_shifting` requires.
    #[must_use]
    pub fn mu(self, mu: f64) -> Self {
        Self { mu: Some(mu), ..self }
    }

    /// Reads recorded arguments, a JSON object or null, for a run of `steps` steps.
    ///
    /// # Errors
    ///
    /// Returns an error for an unknown argument, or if `sigmas` or `timesteps` is not a list of
    /// numbers.
    pub fn from_value(value: &Value, steps: usize) -> Result<Self, ConfigError> {
        let mut all = Self::steps(steps);
        let numbers = |key: &str, value: &Value| {
            let list = value.as_array().map(|list| list.iter().map(json::number).collect());
            list.flatten().ok_or_else(|| ConfigError::value(key, value, "a list of numbers"))
        };
        for (key, value) in value.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null()) {
            match key.as_str() {
                "mu" => all.mu = json::number(value),
                "sigmas" => all.sigmas = Some(numbers(key, value)?),
                "timesteps" => all.timesteps = Some(numbers(key, value)?),
                _ => {
                    let what = format!("the argument {key} of set_timesteps");
                    return Err(ConfigError::Unsupported { what, change: "omit it" });
                }
            }
        }
        if all.sigmas.is_some() || all.timesteps.is_some() {
            all.num_inference_steps = None;
        }
        Ok(all)
    }

    /// Returns the number of steps for the class.
    pub(crate) fn count(&self, class: Class) -> usize {
        match (&self.sigmas, &self.timesteps, self.num_inference_steps) {
            // These lists include the end of the run.
            (Some(sigmas), ..)
                if matches!(class, Class::EulerDiscrete | Class::LtxEulerAncestralRf) =>
            {
                sigmas.len().saturating_sub(1)
            }
            (_, Some(timesteps), _) if matches!(class, Class::DdpmWuerstchen | Class::Scm) => {
                timesteps.len().saturating_sub(1)
            }
            (Some(list), ..) | (_, Some(list), _) => list.len(),
            (.., steps) => steps.unwrap_or(0),
        }
    }

    /// Returns an error if the class's `set_timesteps` does not take an argument.
    pub(crate) fn check(&self, class: Class) -> Result<(), ConfigError> {
        let flow_match = matches!(class, Class::FlowMatchEulerDiscrete | Class::FlowMatchLcm);
        let solver = matches!(class, Class::DpmSolverMultistep | Class::DpmSolverSinglestep);
        let unipc = class == Class::UniPcMultistep;
        let euler = class == Class::EulerDiscrete;
        let mu = flow_match || solver || unipc || class == Class::DeisMultistep;
        let sigmas = flow_match || unipc || euler || class == Class::LtxEulerAncestralRf;
        let timesteps = flow_match
            || solver
            || euler
            || matches!(
                class,
                Class::Ddpm
                    | Class::DdpmParallel
                    | Class::HeunDiscrete
                    | Class::Lcm
                    | Class::Tcd
                    | Class::CmStochasticIterative
                    | Class::DdpmWuerstchen
                    | Class::Scm
            );
        let given = [
            ("sigmas", sigmas, self.sigmas.is_some()),
            ("timesteps", timesteps, self.timesteps.is_some()),
            ("mu", mu, self.mu.is_some()),
        ];
        for (key, takes, given) in given {
            let allowed = format!("left out: {class} does not take it in set_timesteps");
            ConfigError::require(takes || !given, key, "given", &allowed)?;
        }
        if let (Some(sigmas), Some(timesteps)) = (&self.sigmas, &self.timesteps) {
            let good = flow_match && sigmas.len() == timesteps.len();
            let allowed =
                "left out if sigmas are given, or, for flow matching, as many as the sigmas";
            ConfigError::require(good, "timesteps", "given", allowed)?;
        }
        let lists = [("sigmas", &self.sigmas), ("timesteps", &self.timesteps)];
        for (key, list) in lists.into_iter().filter_map(|(key, list)| Some((key, list.as_ref()?))) {
            let falls = list.windows(2).all(|pair| pair[0] > pair[1]);
            let good = falls && list.iter().all(|number| number.is_finite());
            ConfigError::require(good, key, format!("{list:?}"), "finite and strictly falling")?;
        }
        Ok(())
    }
}

impl From<usize> for SetTimesteps {
    fn from(steps: usize) -> Self {
        Self::steps(steps)
    }
}
