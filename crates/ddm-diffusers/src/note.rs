//! Doubtful settings that diffusers accepts.

use thiserror::Error;

use crate::class::Family;
use crate::settings::Settings;
use crate::words::{Betas, Predicts, Rows, Sigmas};
use crate::{Class, SchedulerConfig};

/// A doubtful setting of a config, and what to change. The numbers remain those of diffusers.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// A static shift, which is applied twice. Released models rely on this.
    #[error(
        "shift = {shift} is applied twice: to the ends of the run and to each sigma; to apply it once, \
         set use_dynamic_shifting to true and pass mu = ln(shift) = {}", shift.ln()
    )]
    ShiftTwice {
        /// The shift.
        shift: f64,
    },
    /// A network that predicts the noise on a schedule without signal at the last timestep.
    #[error(
        "rescale_betas_zero_snr leaves no signal at the last timestep, where epsilon does \
         not determine x0; set prediction_type to \"v_prediction\" or \"sample\", or \
         rescale_betas_zero_snr to false"
    )]
    ZeroSnrEpsilon,
    /// A linspace run, whose steps end at another level than the start of the next step.
    #[error(
        "{class} with timestep_spacing \"linspace\" moves T/n timesteps per step, which is not the \
         spacing of its timesteps; set timestep_spacing to \"trailing\" or \"leading\""
    )]
    LinspaceChain {
        /// The class.
        class: Class,
    },
    /// Cosine βs and Karras' spacing on integer timesteps.
    #[error(
        "use_karras_sigmas on beta_schedule \"squaredcos_cap_v2\" repeats the same \
         timestep of the network; set use_karras_sigmas to false, or use another beta_schedule"
    )]
    CosineKarras,
    /// Flow levels without a flow prediction, or a flow prediction without flow levels.
    #[error(
        "use_flow_sigmas and prediction_type \"flow_prediction\" belong together, but only one is set; \
         set both or neither"
    )]
    FlowWithoutFlow,
    /// A key that was set but has no effect.
    #[error("`{key}` has no effect in this config of {class}; remove it")]
    WithoutEffect {
        /// The key.
        key: String,
        /// The class.
        class: Class,
    },
    /// A key that the class does not have.
    #[error("{class} has no setting `{key}`; remove it")]
    Unknown {
        /// The key.
        key: String,
        /// The class.
        class: Class,
    },
}

impl SchedulerConfig {
    /// Returns what is doubtful about the config: settings that do not match, keys without effect,
    /// unknown keys. The numbers remain those of diffusers.
    ///
    /// ```
    /// use ddm_diffusers::{Note, SchedulerConfig};
    /// let text = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}"#;
    /// let sd3: SchedulerConfig = text.parse()?;
    /// assert_eq!(sd3.notes(), [Note::ShiftTwice { shift: 3.0 }]);
    /// assert!(sd3.strict().is_err());
    /// # Ok::<(), ddm_diffusers::ConfigError>(())
    /// ```
    pub fn notes(&self) -> Vec<Note> {
        let class = self.class();
        let mut notes = self.settings().notes();
        let idle = self.idle().map(|key| Note::WithoutEffect { key: key.to_owned(), class });
        notes.extend(idle);
        notes.extend(self.unknown().iter().map(|key| Note::Unknown { key: key.clone(), class }));
        notes
    }

    /// Returns the config unless it has [`notes`](Self::notes).
    ///
    /// # Errors
    ///
    /// Returns the first note as an error.
    pub fn strict(self) -> Result<Self, crate::ConfigError> {
        match self.notes().into_iter().next() {
            Some(note) => Err(note.into()),
            None => Ok(self),
        }
    }
}

impl Settings {
    fn notes(&self) -> Vec<Note> {
        let family = self.class.family();
        let solver = family == Family::Solver;
        let chain = family == Family::Chain;
        let cosine = self.betas == Betas::Cosine && self.trained_betas.is_none();
        let twice = family == Family::FlowMatch && self.shift != 1.0 && !self.dynamic_shift;
        let found = [
            (twice, Note::ShiftTwice { shift: self.shift }),
            (self.zero_snr && self.predicts == Predicts::Epsilon, Note::ZeroSnrEpsilon),
            (
                chain && !self.class.ends_at_data() && self.rows == Rows::Linspace,
                Note::LinspaceChain { class: self.class },
            ),
            (
                cosine && self.sigmas == Sigmas::Karras && self.whole_timesteps() && !self.flow,
                Note::CosineKarras,
            ),
            (solver && self.flow != (self.predicts == Predicts::Flow), Note::FlowWithoutFlow),
        ];
        found.into_iter().filter_map(|(holds, note)| holds.then_some(note)).collect()
    }

    /// Returns whether the levels come from the β table.
    fn uses_table(&self) -> bool {
        !self.flow || self.sigmas == Sigmas::Karras
    }

    /// Returns whether the last step goes from a row of the table to the table's least σ.
    fn ends_by_table(&self) -> bool {
        self.ends_at_sigma_min && self.by_table() && self.class.family() == Family::Solver
    }

    /// Returns whether a key of the class has an effect, given the other settings.
    pub(crate) fn counts(&self, key: &str) -> bool {
        let family = self.class.family();
        let distilled = family == Family::Consistency;
        let by_rows = family != Family::Solver || self.by_table();
        match key {
            "steps_offset" => !distilled && by_rows && self.rows == Rows::Leading,
            "timestep_spacing" => !distilled && by_rows,
            "lambda_min_clipped" => self.by_table(),
            "set_alpha_to_one" => !distilled,
            "timestep_scaling" => self.class == Class::Lcm,
            "clip_sample" => self.limits() && self.threshold.is_none(),
            "clip_sample_range" => self.limits() && self.clip.is_some() && self.threshold.is_none(),
            "thresholding" => self.limits(),
            "lower_order_final" if self.class == Class::DpmSolverSinglestep => {
                self.order > 1 && self.ends_at_sigma_min
            }
            // A step to σ = 0 is of order 1 in any case, and one to the same σ does nothing.
            "lower_order_final" => self.order > 2 || (self.order > 1 && self.ends_by_table()),
            "euler_at_final" => self.order > 1 && self.ends_by_table(),
            "variance_type" => self.class.family() == Family::Chain || self.has_two_heads(),
            "rescale_betas_zero_snr" => self.uses_table(),
            "timestep_type" => self.predicts == Predicts::V,
            "interpolation_type" => self.sigmas == Sigmas::Table || self.rows != Rows::Linspace,
            "sample_max_value" => self.limits() && self.threshold.is_some(),
            // With a largest value of 1 it is clipping.
            "dynamic_thresholding_ratio" => {
                self.limits() && self.threshold.is_some_and(|(_, max)| max > 1.0)
            }
            "beta_start" | "beta_end" => {
                let ends =
                    matches!(self.betas, Betas::Linear | Betas::ScaledLinear | Betas::Sigmoid);
                ends && self.trained_betas.is_none() && self.uses_table()
            }
            "beta_schedule" => self.trained_betas.is_none() && self.uses_table(),
            "trained_betas" => self.uses_table(),
            "shift" => !self.dynamic_shift,
            "flow_shift" => self.flow && !self.dynamic_shift,
            "time_shift_type" => self.dynamic_shift && (self.flow || family == Family::FlowMatch),
            "use_dynamic_shifting" | "shift_terminal" => self.flow || family == Family::FlowMatch,
            "sigma_min" | "sigma_max" => family == Family::Edm || self.sigmas != Sigmas::Table,
            "num_train_timesteps" => {
                !matches!(family, Family::Angle | Family::Edm)
                    || self.class == Class::CmStochasticIterative
            }
            // One algorithm, whatever it is called.
            "algorithm_type" | "solver_type" if self.class == Class::DeisMultistep => false,
            "solver_type" => self.order > 1 || self.class == Class::UniPcMultistep,
            "rho" => self.class == Class::CmStochasticIterative || self.sigmas == Sigmas::Karras,
            _ => true,
        }
    }
}
