//! Settings that contradict each other: with them, diffusers fails or returns non-finite samples.

use thiserror::Error;

use crate::settings::Settings;
use crate::words::{Algorithm, Predicts, Rows, Sigmas, VarianceType, Variant};
use crate::{Class, ConfigError};

/// Settings that contradict each other. Each message says what to change.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum Contradiction {
    /// `fixed_large_log` takes the square root of a negative logarithm.
    #[error(
        "variance_type \"fixed_large_log\" takes the square root of a negative number; \
         set variance_type to \"fixed_large\""
    )]
    FixedLargeLog,
    /// A learned variance without its range.
    #[error(
        "variance_type \"learned\" is not supported, since it lacks the range of the variance; \
         set variance_type to \"learned_range\""
    )]
    Learned,
    /// UniPC with B₁(h) = h on a step to σ = 0, where h is infinite.
    #[error(
        "solver_type \"bh1\" is infinite in the last step, to sigma = 0; \
         set solver_type to \"bh2\" or final_sigmas_type to \"sigma_min\""
    )]
    Bh1ToZero,
    /// A solver that predicts ε on a step to σ = 0.
    #[error(
        "{algorithm} is infinite in the last step, to sigma = 0; set final_sigmas_type to \
         \"sigma_min\", or use a data prediction (algorithm_type \"dpmsolver++\" or \
         predict_x0 = true)"
    )]
    NoiseToZero {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// Two steps at the first timestep.
    #[error(
        "a run of {steps} steps visits the first timestep {timestep} twice; \
         use fewer steps or another spacing of timesteps or sigmas"
    )]
    FirstTimestepTwice {
        /// The timestep.
        timestep: f64,
        /// The number of steps of the run.
        steps: usize,
    },
    /// An SDE solver of an order that does not exist.
    #[error(
        "algorithm_type \"{algorithm}\" does not support order {order}; set solver_order to 1 or 2, \
         or remove \"sde-\" from algorithm_type"
    )]
    SdeOrder {
        /// The algorithm.
        algorithm: &'static str,
        /// The order.
        order: usize,
    },
    /// A solver that predicts ε with an output that diffusers cannot convert to ε.
    #[error(
        "algorithm_type \"{algorithm}\" cannot be combined with {key}; \
         set algorithm_type to \"data_prediction\" (SA-Solver) or \"dpmsolver++\""
    )]
    NoiseFrom {
        /// The algorithm.
        algorithm: &'static str,
        /// The setting.
        key: &'static str,
    },
    /// An inversion with `linspace`, which it does not have.
    #[error(
        "DDIMInverseScheduler does not support timestep_spacing \"linspace\"; \
         set timestep_spacing to \"trailing\" or \"leading\""
    )]
    InverseLinspace,
    /// `invert_sigmas` with fresh noise at every step.
    #[error(
        "invert_sigmas cannot be combined with fresh noise at every step (stochastic_sampling, \
         FlowMatchLCMScheduler); set invert_sigmas or stochastic_sampling to false"
    )]
    InvertedStochastic,
    /// A spacing of σ/α together with flow levels.
    #[error(
        "use_flow_sigmas cannot be combined with another spacing of sigmas (use_karras_sigmas and \
         the like); set one of them to false"
    )]
    FlowSpaced,
}

impl Settings {
    /// Returns an error if settings are out of range or contradict each other.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.check_ranges()?;
        let ode_to_zero = !self.ends_at_sigma_min;
        let flow = self.predicts == Predicts::Flow;
        if flow && self.class == Class::DeisMultistep && !self.flow {
            let what = "flow_prediction of DEIS without flow levels".to_owned();
            return Err(ConfigError::Unsupported { what, change: "set use_flow_sigmas to true" });
        }
        Err(ConfigError::Contradiction(match self {
            _ if self.variance == VarianceType::FixedLargeLog => Contradiction::FixedLargeLog,
            _ if self.variance == VarianceType::Learned
                && matches!(self.class, Class::Ddpm | Class::DdpmParallel) =>
            {
                Contradiction::Learned
            }
            Self { class: Class::UniPcMultistep, variant: Variant::Bh1, .. } if ode_to_zero => {
                Contradiction::Bh1ToZero
            }
            Self { class: Class::UniPcMultistep, predict_x0: false, .. } if ode_to_zero => {
                Contradiction::NoiseToZero { algorithm: "predict_x0 = false" }
            }
            Self { algorithm: Algorithm::Dpm | Algorithm::SdeDpm, .. } if ode_to_zero => {
                Contradiction::NoiseToZero { algorithm: self.algorithm.name() }
            }
            Self {
                algorithm: Algorithm::NoisePrediction | Algorithm::Dpm | Algorithm::SdeDpm,
                ..
            } if flow => Contradiction::NoiseFrom {
                algorithm: self.algorithm.name(),
                key: "prediction_type \"flow_prediction\"",
            },
            Self { algorithm: Algorithm::NoisePrediction, threshold: Some(_), .. } => {
                let algorithm = self.algorithm.name();
                Contradiction::NoiseFrom { algorithm, key: "thresholding" }
            }
            Self { class: Class::DdimInverse, rows: Rows::Linspace, .. } => {
                Contradiction::InverseLinspace
            }
            Self { algorithm: Algorithm::SdeDpm, order: 3, .. }
            | Self {
                class: Class::EdmDpmSolverMultistep | Class::CosineDpmSolverMultistep,
                algorithm: Algorithm::SdeDpmPp,
                order: 3,
                ..
            } => Contradiction::SdeOrder { algorithm: self.algorithm.name(), order: self.order },
            Self { invert_sigmas: true, .. }
                if self.stochastic || self.class == Class::FlowMatchLcm =>
            {
                Contradiction::InvertedStochastic
            }
            _ if self.flow && !self.spaces_flow() => Contradiction::FlowSpaced,
            _ => return Ok(()),
        }))
    }

    /// Whether the network's timesteps are integers, even where σ lies between rows.
    pub(crate) fn whole_timesteps(&self) -> bool {
        self.class.family() == crate::class::Family::Solver
            || matches!(self.class, Class::Kdpm2Discrete | Class::Kdpm2AncestralDiscrete)
    }

    fn spaces_flow(&self) -> bool {
        self.sigmas == Sigmas::Table
            || (self.class == Class::UniPcMultistep && self.sigmas == Sigmas::Karras)
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        let steps = self.train_steps;
        ConfigError::require(steps > 0, "num_train_timesteps", steps, "at least 1")?;
        ConfigError::require(
            self.shift > 0.0 && self.shift.is_finite(),
            "shift",
            self.shift,
            "above 0",
        )?;
        let terminal = self.shift_terminal.unwrap_or(0.5);
        ConfigError::require(
            terminal > 0.0 && terminal < 1.0,
            "shift_terminal",
            terminal,
            "in (0, 1)",
        )?;
        let (order, highest) = match self.class {
            Class::SaSolver => ("predictor_order", 3),
            _ => ("solver_order", 3),
        };
        let orders = format!("1 to {highest}");
        ConfigError::require((1..=highest).contains(&self.order), order, self.order, &orders)?;
        if self.class == Class::SaSolver {
            let corrector = self.corrector_order;
            ConfigError::require(
                (1..=4).contains(&corrector),
                "corrector_order",
                corrector,
                "1 to 4",
            )?;
        }
        if let Some(range) = self.clip {
            ConfigError::require(range > 0.0, "clip_sample_range", range, "above 0")?;
        }
        if let Some((ratio, max)) = self.threshold {
            let good = (0.0..=1.0).contains(&ratio);
            ConfigError::require(good, "dynamic_thresholding_ratio", ratio, "in [0, 1]")?;
            ConfigError::require(max >= 1.0, "sample_max_value", max, "at least 1")?;
        }
        ConfigError::require(
            self.snr_shift > 0.0 && self.snr_shift.is_finite(),
            "snr_shift_scale",
            self.snr_shift,
            "finite and above 0",
        )?;
        ConfigError::require(
            self.s_noise >= 0.0 && self.s_noise.is_finite(),
            "s_noise",
            self.s_noise,
            "finite and at least 0",
        )?;
        ConfigError::require((0.0..=1.0).contains(&self.eta), "eta", self.eta, "in [0, 1]")?;
        ConfigError::require(
            self.scaler > 0.0 && self.scaler.is_finite(),
            "scaler",
            self.scaler,
            "finite and above 0",
        )?;
        let offset = self.cosine_offset;
        let good = (0.0..=1000.0).contains(&offset);
        ConfigError::require(good, "s", offset, "from 0 to 1000")?;
        if self.class.family() == crate::class::Family::Consistency {
            let original = self.original_steps;
            let good = original > 0 && original <= steps;
            let allowed = "at least 1 and at most num_train_timesteps";
            ConfigError::require(good, "original_inference_steps", original, allowed)?;
        }
        Ok(())
    }
}
