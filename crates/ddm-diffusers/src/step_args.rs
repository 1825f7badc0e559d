//! What diffusers passes to each step rather than keeps in the config.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Class, ConfigError, json};

/// The arguments of diffusers' `step`. What is left out has the class's default.
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
    /// S_churn of EDM's stochastic sampler; default 0, none.
    pub s_churn: Option<f64>,
    /// Churn only from this σ on; default 0.
    pub s_tmin: Option<f64>,
    /// Churn only up to this σ; default infinite.
    pub s_tmax: Option<f64>,
    /// S_noise; default 1.
    pub s_noise: Option<f64>,
    /// Order of LMS; default 4.
    pub order: Option<usize>,
    /// Steps of the whole run, where the levels sampled are a part of it: DDIM, PNDM and CogVideoX
    /// step T/n rows down. Default: the steps that are taken. No argument of `step` there.
    pub inference_steps: Option<usize>,
}

impl StepArgs {
    /// Reads the JSON of recorded step arguments: an object, or null for none.
    pub fn from_value(value: &Value) -> Result<Self, ConfigError> {
        let Some(given) = value.as_object() else { return Ok(Self::default()) };
        let numbers = |(key, value): (&String, &Value)| {
            let number = json::number(value).filter(|number| number.is_finite());
            // No bound is no setting.
            number.map(|number| match key.as_str() {
                "order" | "inference_steps" => (key.clone(), Value::from(number as u64)),
                _ => (key.clone(), Value::from(number)),
            })
        };
        let known: serde_json::Map<String, Value> = given.iter().filter_map(numbers).collect();
        serde_json::from_value(Value::Object(known)).map_err(|error| ConfigError::Unsupported {
            what: format!("the step argument ({error})"),
            change: "leave it out",
        })
    }

    /// Refuses what the class's `step` does not take.
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
                let allowed = format!("left out: {class} has no such option in its steps");
                return Err(ConfigError::value(key, value, allowed));
            }
        }
        Ok(())
    }
}
