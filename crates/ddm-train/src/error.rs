//! What can go wrong with training.

use ddm_denoiser::ModelError;
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
