//! The arguments that diffusers passes to each step, outside the config.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Class, ConfigError, json};

/// The arguments of diffusers' `step`; `None` is the class's default.
///
/// ```
/// use ddm_diffusers::{Class, SchedulerConfig, StepArgs};
/// let config = SchedulerConfig::new(Class::DpmSolverMultistep)?;
/// let args = StepArgs { eta: Some(1.0), ..StepArgs::default() };
/// assert!(config.sampler_with::<4>(&args).is_err()); // an ODE solver has no eta
/// # Ok::<(), ddm_diffusers::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepArgs {
    /// η of DDIM (default 0) and TCD (default 0.3).
    pub eta: Option<f64>,
    /// S_churn of EDM's stochastic sampler; default 0 (no churn).
    pub s_churn: Option<f64>,
    /// The least σ with churn; default 0.
    pub s_tmin: Option<f64>,
    /// The greatest σ with churn; default infinite.
    pub s_tmax: Option<f64>,
    /// S_noise; default 1.
    pub s_noise: Option<f64>,
    /// Order of LMS; default 4.
    pub order: Option<usize>,
    /// The number of steps n of the whole run, if the sampled levels are a part of it: DDIM, PNDM
    /// and CogVideoX move T/n rows per step. Default: the steps of the sampled levels. Not an
    /// argument of diffusers' `step`.
    pub inference_steps: Option<usize>,
}

impl StepArgs {
    /// Reads recorded step arguments: a JSON object, or null for none.
    ///
    /// # Errors
    ///
    /// Returns an error for an unknown argument.
    pub fn from_value(value: &Value) -> Result<Self, ConfigError> {
        let Some(given) = value.as_object() else { return Ok(Self::default()) };
        let numbers = |(key, value): (&String, &Value)| {
            let number = json::number(value).filter(|number| number.is_finite());
            // An infinite bound is the default.
            number.map(|number| match key.as_str() {
                "order" | "inference_steps" => (key.clone(), Value::from(number as u64)),
                _ => (key.clone(), Value::from(number)),
            })
        };
        let known: serde_json::Map<String, Value> = given.iter().filter_map(numbers).collect();
        serde_json::from_value(Value::Object(known)).map_err(|error| ConfigError::Unsupported {
            what: format!("the step argument ({error})"),
            change: "omit it",
        })
    }

    /// Returns an error if the class's `step` does not take an argument.
    pub(crate) fn check(&self, class: Class) -> Result<(), ConfigError> {
        let eta = matches!(
            class,
            Class::CogVideoXDdim
                | Class::CogVideoXDpm
                | Class::Ddim
                | Class::DdimParallel
                | Class::Tcd
        );
        let churn = matches!(class, Class::EulerDiscrete | Class::EdmEuler);
        let taken = [
            ("eta", eta, self.eta),
            ("s_churn", churn, self.s_churn),
            ("s_tmin", churn, self.s_tmin),
            ("s_tmax", churn, self.s_tmax),
            ("s_noise", churn, self.s_noise),
            ("order", class == Class::LmsDiscrete, self.order.map(|order| order as f64)),
        ];
        for (key, takes, value) in taken {
            if let (false, Some(value)) = (takes, value) {
                let allowed = format!("left out: {class} does not take it in step");
                return Err(ConfigError::value(key, value, allowed));
            }
        }
        Ok(())
    }
}
