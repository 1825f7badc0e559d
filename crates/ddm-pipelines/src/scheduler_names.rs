//! Schedulers by the names that people know.

use ddm_diffusers::{Class, SchedulerConfig};
use serde_json::{Value, json};

use crate::PipelineError;

/// A name, diffusers' class for it, and the settings that make the difference.
type Named = (&'static str, Class, &'static [(&'static str, &'static str)]);

const SDE: (&str, &str) = ("algorithm_type", "sde-dpmsolver++");

/// The samplers of AUTOMATIC1111's and ComfyUI's lists, in diffusers' classes.
///
/// Source: diffusers' documentation, "Schedulers", the table of k-diffusion's names.
const NAMES: [Named; 19] = [
    ("ddim", Class::Ddim, &[]),
    ("ddpm", Class::Ddpm, &[]),
    ("deis", Class::DeisMultistep, &[]),
    ("dpm2", Class::Kdpm2Discrete, &[]),
    ("dpm2-a", Class::Kdpm2AncestralDiscrete, &[]),
    ("dpmpp-2m", Class::DpmSolverMultistep, &[]),
    ("dpmpp-2m-sde", Class::DpmSolverMultistep, &[SDE]),
    ("dpmpp-2s", Class::DpmSolverSinglestep, &[]),
    ("dpmpp-3m", Class::DpmSolverMultistep, &[("solver_order", "3")]),
    ("dpmpp-sde", Class::DpmSolverSinglestep, &[SDE]),
    ("euler", Class::EulerDiscrete, &[]),
    ("euler-a", Class::EulerAncestralDiscrete, &[]),
    ("heun", Class::HeunDiscrete, &[]),
    ("lcm", Class::Lcm, &[]),
    ("lms", Class::LmsDiscrete, &[]),
    ("plms", Class::Pndm, &[("skip_prk_steps", "true")]),
    ("sa-solver", Class::SaSolver, &[]),
    ("tcd", Class::Tcd, &[]),
    ("unipc", Class::UniPcMultistep, &[]),
];

/// The same for flows.
const FLOWS: [Named; 5] = [
    ("dpmpp-2m", Class::DpmSolverMultistep, &[]),
    ("euler", Class::FlowMatchEulerDiscrete, &[]),
    ("heun", Class::FlowMatchHeunDiscrete, &[]),
    ("lcm", Class::FlowMatchLcm, &[]),
    ("unipc", Class::UniPcMultistep, &[]),
];

/// What may follow a name, and the setting that it stands for.
const SPACINGS: [(&str, &str, &str); 6] = [
    ("-karras", "use_karras_sigmas", "true"),
    ("-exponential", "use_exponential_sigmas", "true"),
    ("-beta", "use_beta_sigmas", "true"),
    ("-trailing", "timestep_spacing", "trailing"),
    ("-leading", "timestep_spacing", "leading"),
    ("-linspace", "timestep_spacing", "linspace"),
];

/// Returns a pipeline's scheduler with another sampler, by its name: `dpmpp-2m-karras`, `euler-a`, `ddim`,
/// `unipc`, `lcm-trailing`, …
///
/// The schedule, what the network predicts, and all settings that `saved` gives and the new class has, are
/// those of `saved`, as with diffusers' `from_config`.
///
/// ```
/// use ddm_diffusers::{Class, SchedulerConfig};
/// use ddm_pipelines::scheduler_named;
/// let saved: SchedulerConfig =
///     r#"{"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear"}"#.parse()?;
/// let config = scheduler_named("dpmpp-2m-karras", &saved)?;
/// assert_eq!(config.class(), Class::DpmSolverMultistep);
/// assert_eq!(config.get("beta_schedule"), saved.get("beta_schedule"));
/// assert!(scheduler_named("dpm-3000", &saved).is_err()); // the error has the list
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error for an unknown name, a spacing that the sampler does not have, or settings of `saved`
/// that contradict it.
pub fn scheduler_named(
    name: &str,
    saved: &SchedulerConfig,
) -> Result<SchedulerConfig, PipelineError> {
    let flow = saved.class().name().starts_with("FlowMatch")
        || saved.get("use_flow_sigmas") == Some(&json!(true));
    let names: &[Named] = if flow { &FLOWS } else { &NAMES };
    let (sampler, spacing) = SPACINGS
        .iter()
        .find_map(|spacing| Some((name.strip_suffix(spacing.0)?, Some(spacing))))
        .unwrap_or((name, None));
    let known = || PipelineError::UnknownSampler {
        found: name.to_owned(),
        known: sampler_names(saved).join(", "),
    };
    let &(_, class, settings) =
        names.iter().find(|(known, ..)| *known == sampler).ok_or_else(known)?;
    let own = SchedulerConfig::new(class)?;
    let mut changes: Vec<(&str, Value)> = Vec::new();
    for &(key, value) in settings.iter().chain(spacing.map(|(_, key, value)| (*key, *value)).iter())
    {
        if own.get(key).is_none() {
            return Err(known());
        }
        changes.push((key, serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))));
    }
    if flow && !class.name().starts_with("FlowMatch") {
        changes.push(("use_flow_sigmas", json!(true)));
        changes.push(("prediction_type", json!("flow_prediction")));
        changes.extend(saved.get("shift").map(|shift| ("flow_shift", shift.clone())));
    }
    Ok(saved.with_class(class, changes)?)
}

/// Returns the names of samplers that a pipeline can take in place of its own.
#[must_use]
pub fn sampler_names(saved: &SchedulerConfig) -> Vec<&'static str> {
    let flow = saved.class().name().starts_with("FlowMatch");
    let names: &[Named] = if flow { &FLOWS } else { &NAMES };
    names.iter().map(|(name, ..)| *name).collect()
}
