//! Settings that do not go together. diffusers accepts most of them and gives wrong numbers.

use thiserror::Error;

use crate::settings::{Algorithm, Betas, Predicts, Rows, Settings, Sigmas, VarianceType, Variant};
use crate::{Class, ConfigError};

/// Settings that do not go together, and what to change.
#[derive(Clone, Debug, Error, PartialEq)]
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
    /// Flow matching with a static shift.
    #[error(
        "shift = {shift} would be applied twice; set shift to 1 and use_dynamic_shifting to true, \
         and pass mu = ln(shift) = {} for the levels", shift.ln()
    )]
    ShiftTwice {
        /// The shift.
        shift: f64,
    },
    /// Flow matching by Heun with a shift, which has no dynamic shifting.
    #[error(
        "shift = {shift} would be applied twice; set shift to 1, \
         or use FlowMatchEulerDiscreteScheduler with use_dynamic_shifting"
    )]
    HeunShiftTwice {
        /// The shift.
        shift: f64,
    },
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
    /// No signal at the start, and a network that predicts the noise.
    #[error(
        "rescale_betas_zero_snr leaves no signal at the last timestep, where epsilon says nothing \
         about x0; set prediction_type to \"v_prediction\" or \"sample\", \
         or rescale_betas_zero_snr to false"
    )]
    ZeroSnrEpsilon,
    /// The previous level of a linspace run.
    #[error(
        "{class} with timestep_spacing \"linspace\" steps to the level T/n below, which is not the \
         next one that it visits; set timestep_spacing to \"trailing\" or \"leading\""
    )]
    LinspaceChain {
        /// The class.
        class: Class,
    },
    /// Cosine βs and Karras' spacing on whole timesteps.
    #[error(
        "use_karras_sigmas on beta_schedule \"squaredcos_cap_v2\" tells the network the same \
         timestep several times; set use_karras_sigmas to false, or take another beta_schedule"
    )]
    CosineKarras,
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
    /// Flow levels and another prediction, or the other way round.
    #[error(
        "use_flow_sigmas and prediction_type \"flow_prediction\" go together; \
         set both or neither"
    )]
    FlowWithoutFlow,
    /// SA-Solver in ε with what diffusers cannot turn into ε.
    #[error(
        "algorithm_type \"noise_prediction\" and {key} do not go together; \
         set algorithm_type to \"data_prediction\""
    )]
    NoiseFrom {
        /// The setting.
        key: &'static str,
    },
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
        let solver = self.class.family() == crate::class::Family::Solver;
        Err(ConfigError::Contradiction(match self {
            _ if self.variance == VarianceType::FixedLargeLog => Contradiction::FixedLargeLog,
            _ if self.variance == VarianceType::Learned && self.class == Class::Ddpm => {
                Contradiction::Learned
            }
            Self { class: Class::FlowMatchHeunDiscrete, shift, .. } if *shift != 1.0 => {
                Contradiction::HeunShiftTwice { shift: *shift }
            }
            Self { class: Class::FlowMatchEulerDiscrete, shift, dynamic_shift: false, .. }
                if *shift != 1.0 =>
            {
                Contradiction::ShiftTwice { shift: *shift }
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
            Self { algorithm: Algorithm::NoisePrediction, .. } if flow => {
                Contradiction::NoiseFrom { key: "prediction_type \"flow_prediction\"" }
            }
            Self { algorithm: Algorithm::NoisePrediction, threshold: Some(_), .. } => {
                Contradiction::NoiseFrom { key: "thresholding" }
            }
            Self { zero_snr: true, predicts: Predicts::Epsilon, .. } => {
                Contradiction::ZeroSnrEpsilon
            }
            Self { class: Class::Ddim | Class::DdimInverse | Class::Pndm, .. }
                if self.rows == Rows::Linspace =>
            {
                Contradiction::LinspaceChain { class: self.class }
            }
            Self { betas: Betas::Cosine, sigmas: Sigmas::Karras, trained_betas: None, .. }
                if self.whole_timesteps() && !self.flow =>
            {
                Contradiction::CosineKarras
            }
            Self { algorithm: Algorithm::SdeDpm, order: 3, .. }
            | Self {
                class: Class::EdmDpmSolverMultistep,
                algorithm: Algorithm::SdeDpmPp,
                order: 3,
                ..
            } => Contradiction::SdeOrder { algorithm: self.algorithm.name(), order: self.order },
            _ if solver && self.flow != flow => Contradiction::FlowWithoutFlow,
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
        if self.class.family() == crate::class::Family::Consistency {
            let original = self.original_steps;
            let good = original > 0 && original <= steps;
            let allowed = "at least 1 and at most num_train_timesteps";
            ConfigError::require(good, "original_inference_steps", original, allowed)?;
        }
        Ok(())
    }
}
