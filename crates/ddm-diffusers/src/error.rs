//! Errors of scheduler configs. Each names the key or value, and what to change.

use ddm_denoiser::ModelError;
use ddm_samplers::SamplingError;
use ddm_schedule::{GridError, Invalid, ScheduleError};
use thiserror::Error;

use crate::not_read::reason;
use crate::{Contradiction, Note};

/// An invalid scheduler config, or an invalid request to a valid one.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or not a JSON object.
    #[error("the scheduler config is not a JSON object: {reason}")]
    NotJson {
        /// The parser's message.
        reason: String,
    },
    /// A missing class name.
    #[error(
        "the scheduler config lacks `_class_name`; add it with the name of the scheduler class, such \
         as \"DDIMScheduler\""
    )]
    NoClass,
    /// A class that this crate does not cover.
    #[error(
        "the scheduler class {found} is not supported{}; the supported classes are {}",
        reason(found),
        covered()
    )]
    UnknownClass {
        /// The name that was given.
        found: String,
    },
    /// A value of the wrong type or out of range.
    #[error("`{key}` is {found}, but must be {allowed}")]
    Value {
        /// The key.
        key: String,
        /// The value that was given.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// Settings that contradict each other.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// A setting of diffusers that this crate does not implement.
    #[error("{what} is not supported; {change}")]
    Unsupported {
        /// The setting.
        what: String,
        /// What to change.
        change: &'static str,
    },
    /// A `steps_offset` that moves `leading` timesteps beyond the table.
    #[error(
        "steps_offset = {offset} puts the first timestep at {timestep}, beyond the last row {last}; \
         use fewer steps or set steps_offset to 0"
    )]
    OffsetTooLarge {
        /// The offset.
        offset: usize,
        /// The timestep beyond the table.
        timestep: f64,
        /// The last row.
        last: f64,
    },
    /// A `shift_terminal` on a run whose last σ is 1: there is nothing to stretch.
    #[error(
        "shift_terminal = {terminal} cannot stretch a run whose last sigma is {last}; \
         use at least 2 steps, or set shift_terminal to null"
    )]
    NothingToStretch {
        /// The terminal σ.
        terminal: f64,
        /// The last σ.
        last: f64,
    },
    /// A note, which is an error in the strict reading.
    #[error(transparent)]
    Note(#[from] Note),
    /// A setting out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An invalid schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Invalid levels.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// An invalid setting of the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An invalid setting of the sampler.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
}

fn covered() -> String {
    crate::Class::ALL.map(|class| class.name()).join(", ")
}

impl ConfigError {
    pub(crate) fn value(key: &str, found: impl ToString, allowed: impl Into<String>) -> Self {
        Self::Value { key: key.to_owned(), found: found.to_string(), allowed: allowed.into() }
    }

    /// Returns an error that names the key unless `holds`.
    pub(crate) fn require(
        holds: bool,
        key: &str,
        found: impl ToString,
        allowed: &str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::value(key, found, allowed)) }
    }
}
