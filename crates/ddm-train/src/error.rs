//! What can go wrong with training.

use ddm_denoiser::ModelError;
use ddm_noise::NoiseError;
use ddm_schedule::Invalid;
use ddm_schedule::NoiseSchedule;
use thiserror::Error;

/// Training that cannot start, or that had to stop.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum TrainError {
    /// Network, data and objective do not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Random numbers cannot be had.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
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
        Invalid::require(steps >= 2, "the number of the schedule's steps", steps as f64, allowed)?;
        Ok(steps)
    }
}
