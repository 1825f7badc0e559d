//! What can be wrong with a setting of this crate.

use ddm_denoiser::ModelError;
use thiserror::Error;

/// A setting that is out of range, or a model that does not fit.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ScoreError {
    /// The model does not fit.
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
}

impl ScoreError {
    /// Refuses `value` of the setting `name` unless `holds`.
    pub fn require(
        holds: bool,
        name: &'static str,
        value: f64,
        allowed: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Setting { name, value, allowed }) }
    }
}
