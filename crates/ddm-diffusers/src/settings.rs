//! The settings of a config as typed values.

use serde_json::{Map, Value};

use crate::words::{
    Algorithm, Betas, Predicts, Rows, Sigmas, VarianceType, Variant, algorithm_words, beta_words,
    predicted, prediction_words, variance_words, variant_words,
};
use crate::{Class, ConfigError, json};

/// Every setting of every class; a setting that the class lacks has a value without effect.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) class: Class,
    pub(crate) train_steps: usize,
    pub(crate) betas: Betas,
    pub(crate) beta_start: f64,
    pub(crate) beta_end: f64,
    pub(crate) trained_betas: Option<Vec<f64>>,
    pub(crate) zero_snr: bool,
    pub(crate) snr_shift: f64,
    pub(crate) rows: Rows,
    pub(crate) offset: usize,
    pub(crate) sigmas: Sigmas,
    pub(crate) log_linear: bool,
    pub(crate) log_sigma_timestep: bool,
    pub(crate) sigma_min: Option<f64>,
    pub(crate) sigma_max: Option<f64>,
    pub(crate) sigma_data: f64,
    pub(crate) rho: f64,
    pub(crate) ends_at_sigma_min: bool,
    pub(crate) alpha_to_one: bool,
    pub(crate) lambda_min: f64,
    pub(crate) flow: bool,
    pub(crate) shift: f64,
    pub(crate) dynamic_shift: bool,
    pub(crate) linear_shift: bool,
    pub(crate) shift_terminal: Option<f64>,
    pub(crate) invert_sigmas: bool,
    pub(crate) stochastic: bool,
    pub(crate) s_noise: f64,
    pub(crate) eta: f64,
    pub(crate) scaler: f64,
    pub(crate) cosine_offset: f64,
    pub(crate) original_steps: usize,
    pub(crate) timestep_scaling: f64,
    pub(crate) predicts: Predicts,
    pub(crate) variance: VarianceType,
    pub(crate) clip: Option<f64>,
    pub(crate) threshold: Option<(f64, f64)>,
    pub(crate) order: usize,
    pub(crate) corrector_order: usize,
    pub(crate) algorithm: Algorithm,
    pub(crate) variant: Variant,
    pub(crate) lower_order_final: bool,
    pub(crate) euler_at_final: bool,
    pub(crate) predict_x0: bool,
    pub(crate) disable_corrector: Vec<usize>,
    pub(crate) skip_prk: bool,
}

/// The values of a config by key; every key of the class is present and of the right type.
struct Keys<'a>(&'a Map<String, Value>);

impl Keys<'_> {
    fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.0.get(key).and_then(json::number)
    }

    fn count(&self, key: &str, otherwise: usize) -> Result<usize, ConfigError> {
        let Some(found) = self.0.get(key) else { return Ok(otherwise) };
        let count = json::number(found).filter(|n| *n >= 0.0 && n.fract() == 0.0 && *n < 1e9);
        count
            .map(|n| n as usize)
            .ok_or_else(|| ConfigError::value(key, found, "a whole number of at least 0"))
    }

    /// Returns the choice that the key's word stands for.
    fn choice<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        otherwise: T,
    ) -> Result<T, ConfigError> {
        let Some(word) = self.0.get(key).and_then(Value::as_str) else { return Ok(otherwise) };
        let chosen = words.iter().find(|(name, _)| *name == word);
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            ConfigError::value(key, format!("\"{word}\""), format!("one of {}", names.join(", ")))
        })
    }
}

impl Settings {
    /// Reads values that are complete and of the right type.
    pub(crate) fn read(class: Class, values: &Map<String, Value>) -> Result<Self, ConfigError> {
        let keys = Keys(values);
        let some_number = |key: &str, otherwise: f64| keys.number(key).unwrap_or(otherwise);
        let trained_betas = values
            .get("trained_betas")
            .and_then(Value::as_array)
            .map(|betas| betas.iter().map(|beta| json::number(beta).unwrap_or(f64::NAN)).collect());
        let order_key = if class == Class::SaSolver { "predictor_order" } else { "solver_order" };
        let shift_key = if values.contains_key("shift") { "shift" } else { "flow_shift" };
        let disabled = values.get("disable_corrector").and_then(Value::as_array);
        Ok(Self {
            class,
            train_steps: keys.count("num_train_timesteps", 1000)?,
            betas: keys.choice("beta_schedule", beta_words(class), Betas::Linear)?,
            beta_start: some_number("beta_start", 1e-4),
            beta_end: some_number("beta_end", 0.02),
            trained_betas,
            zero_snr: keys.flag("rescale_betas_zero_snr"),
            snr_shift: some_number("snr_shift_scale", 1.0),
            rows: keys.choice(
                "timestep_spacing",
                &[
                    ("leading", Rows::Leading),
                    ("trailing", Rows::Trailing),
                    ("linspace", Rows::Linspace),
                ],
                if class == Class::RePaint { Rows::Leading } else { Rows::Linspace },
            )?,
            offset: keys.count("steps_offset", 0)?,
            sigmas: sigmas(&keys)?,
            log_linear: keys.choice(
                "interpolation_type",
                &[("linear", false), ("log_linear", true)],
                false,
            )?,
            log_sigma_timestep: keys.choice(
                "timestep_type",
                &[("discrete", false), ("continuous", true)],
                false,
            )?,
            sigma_min: keys.number("sigma_min"),
            sigma_max: keys.number("sigma_max"),
            sigma_data: some_number("sigma_data", 0.5),
            rho: some_number("rho", 7.0),
            ends_at_sigma_min: keys.choice(
                "final_sigmas_type",
                &[("zero", false), ("sigma_min", true)],
                // These classes lack the key; DEIS and SA-Solver end at the cleanest level.
                matches!(
                    class,
                    Class::CmStochasticIterative | Class::DeisMultistep | Class::SaSolver
                ),
            )?,
            alpha_to_one: keys.flag("set_alpha_to_one"),
            lambda_min: some_number("lambda_min_clipped", f64::NEG_INFINITY),
            flow: keys.flag("use_flow_sigmas"),
            shift: some_number(shift_key, 1.0),
            dynamic_shift: keys.flag("use_dynamic_shifting"),
            linear_shift: keys.choice(
                "time_shift_type",
                &[("exponential", false), ("linear", true)],
                false,
            )?,
            shift_terminal: keys.number("shift_terminal").filter(|end| *end != 0.0),
            invert_sigmas: keys.flag("invert_sigmas"),
            stochastic: keys.flag("stochastic_sampling"),
            s_noise: some_number("s_noise", 1.0),
            eta: some_number("eta", 0.0),
            scaler: some_number("scaler", 1.0),
            cosine_offset: some_number("s", 0.008),
            original_steps: keys.count("original_inference_steps", 50)?,
            timestep_scaling: some_number("timestep_scaling", 10.0),
            predicts: keys.choice("prediction_type", prediction_words(class), predicted(class))?,
            variance: keys.choice(
                "variance_type",
                variance_words(class),
                VarianceType::FixedSmall,
            )?,
            clip: (keys.flag("clip_sample") || keys.flag("clip_denoised"))
                .then(|| some_number("clip_sample_range", 1.0)),
            threshold: keys.flag("thresholding").then(|| {
                (
                    some_number("dynamic_thresholding_ratio", 0.995),
                    some_number("sample_max_value", 1.0),
                )
            }),
            order: keys.count(order_key, 1)?,
            corrector_order: keys.count("corrector_order", 0)?,
            algorithm: keys.choice(
                "algorithm_type",
                algorithm_words(class),
                match class {
                    Class::CosineDpmSolverMultistep => Algorithm::SdeDpmPp,
                    _ => Algorithm::DpmPp,
                },
            )?,
            variant: keys.choice("solver_type", variant_words(class), Variant::Midpoint)?,
            lower_order_final: keys.flag("lower_order_final"),
            euler_at_final: keys.flag("euler_at_final"),
            predict_x0: keys.flag("predict_x0"),
            disable_corrector: disabled
                .map(|steps| steps.iter().filter_map(Value::as_u64).map(|i| i as usize).collect())
                .unwrap_or_default(),
            skip_prk: keys.flag("skip_prk_steps"),
        })
    }
}

fn sigmas(keys: &Keys<'_>) -> Result<Sigmas, ConfigError> {
    let set: Vec<(&str, Sigmas)> = [
        ("use_karras_sigmas", Sigmas::Karras),
        ("use_exponential_sigmas", Sigmas::Exponential),
        ("use_beta_sigmas", Sigmas::Beta),
        ("use_lu_lambdas", Sigmas::Lu),
    ]
    .into_iter()
    .filter(|(key, _)| keys.flag(key))
    .collect();
    match set[..] {
        [] => keys.choice(
            "sigma_schedule",
            &[("karras", Sigmas::Karras), ("exponential", Sigmas::Exponential)],
            Sigmas::Table,
        ),
        [(_, one)] => Ok(one),
        [(first, _), (second, _), ..] => {
            Err(ConfigError::value(second, "true", format!("false if {first} is true")))
        }
    }
}
