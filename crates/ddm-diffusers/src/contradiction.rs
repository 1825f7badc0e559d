//! Settings that do not go together. diffusers fails with them, or gives what is not finite.

use thiserror::Error;

use crate::settings::{Algorithm, Predicts, Rows, Settings, Sigmas, VarianceType, Variant};
use crate::{Class, ConfigError};

/// Settings that do not go together, and what to change.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum Contradiction {
    /// `fixed_large_log` takes the square root of a logarithm, which is negative.
    #[error(
        "variance_type \"fixed_large_log\" is not finite; \
         set variance_type to \"fixed_large\""
    )]
    FixedLargeLog,
    /// A learned variance without a range.
    #[error(
        "variance_type \"learned\" gives no range for the variance; \
         set variance_type to \"learned_range\""
    )]
    Learned,
    /// UniPC's B₁(h) = h is infinite in a step to σ = 0.
    #[error(
        "solver_type \"bh1\" is not finite in the last step to sigma = 0; \
         set solver_type to \"bh2\" or final_sigmas_type to \"sigma_min\""
    )]
    Bh1ToZero,
    /// A solver in ε cannot step to σ = 0.
    #[error(
        "{algorithm} is not finite in the last step to sigma = 0; \
         set final_sigmas_type to \"sigma_min\", or solve for the data (dpmsolver++, predict_x0)"
    )]
    NoiseToZero {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// The first timestep comes again.
    #[error(
        "the first timestep {timestep} comes again in a run of {steps} steps; \
         take fewer steps or another spacing"
    )]
    FirstTimestepTwice {
        /// The timestep.
        timestep: f64,
        /// Steps of the run.
        steps: usize,
    },
    /// An SDE of an order that there is none of.
    #[error("{algorithm} has no order {order}; set solver_order to 1 or 2, or drop \"sde-\"")]
    SdeOrder {
        /// The algorithm.
        algorithm: &'static str,
        /// The order.
        order: usize,
    },
    /// A solver in ε with what diffusers cannot turn into ε.
    #[error(
        "algorithm_type \"{algorithm}\" and {key} do not go together; \
         set algorithm_type to \"data_prediction\" (SA-Solver) or \"dpmsolver++\""
    )]
    NoiseFrom {
        /// The algorithm.
        algorithm: &'static str,
        /// The setting.
        key: &'static str,
    },
    /// An inversion has no linspace.
    #[error(
        "DDIMInverseScheduler has no timestep_spacing \"linspace\"; \
         set timestep_spacing to \"trailing\" or \"leading\""
    )]
    InverseLinspace,
    /// `invert_sigmas` with fresh noise in each step.
    #[error("invert_sigmas and stochastic_sampling do not go together; set one of them to false")]
    InvertedStochastic,
    /// A spacing of σ/α on flow levels.
    #[error(
        "use_flow_sigmas and another spacing of sigmas were both set; set one of them to false"
    )]
    FlowSpaced,
}

impl Settings {
    /// Refuses settings out of range or at odds with each other.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.check_ranges()?;
        let ode_to_zero = !self.ends_at_sigma_min;
        let flow = self.predicts == Predicts::Flow;
        if flow && self.class == Class::DeisMultistep && !self.flow {
            let what = "flow_prediction of DEIS on other levels than flow's".to_owned();
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

    /// Whether the network is told whole timesteps only, also where σ lies between rows.
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
