//! What can go wrong with training.

use ddm_denoiser::ModelError;
use ddm_schedule::NoiseSchedule;
use thiserror::Error;

/// Training that cannot start, or that had to stop.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum TrainError {
    /// Network, data and objective do not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A setting is outside its range.
    #[error("{name} = {value}, but must be {allowed}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// The value that was given.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The loss is no number any more.
    #[error(
        "the loss was {loss} around step {step}; try a smaller learning rate or clip gradients"
    )]
    Diverged {
        /// Steps taken so far.
        step: usize,
        /// The mean loss since the last report.
        loss: f64,
    },
}

impl TrainError {
    /// The number of a schedule's steps, if it is a table of at least 2.
    pub fn require_table(schedule: &dyn NoiseSchedule) -> Result<usize, Self> {
        let steps = schedule.steps().unwrap_or(0);
        let allowed = "at least 2, those of a table: the bound is that of a chain";
        Self::require(steps >= 2, "the number of the schedule's steps", steps as f64, allowed)?;
        Ok(steps)
    }

    /// `Ok` if `holds`, else the error that names the setting.
    pub(crate) fn require(
        holds: bool,
        name: &'static str,
        value: f64,
        allowed: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Setting { name, value, allowed }) }
    }
}
