//! What can be wrong with a scheduler config. Each error names the key or value and what to change.

use ddm_denoiser::ModelError;
use ddm_samplers::SamplingError;
use ddm_schedule::{GridError, Invalid, ScheduleError};
use thiserror::Error;

use crate::not_read::reason;
use crate::{Contradiction, Note};

/// A scheduler config that cannot be read, or cannot do what is asked of it.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or no JSON object.
    #[error("the scheduler config is no JSON object: {reason}")]
    NotJson {
        /// What the parser says.
        reason: String,
    },
    /// No class name.
    #[error("the scheduler config has no `_class_name`; name the scheduler's class there")]
    NoClass,
    /// A class that is not covered.
    #[error(
        "the scheduler class {found} is not covered{}; covered are {}",
        reason(found),
        covered()
    )]
    UnknownClass {
        /// The class that was named.
        found: String,
    },
    /// A value of the wrong kind or outside its range.
    #[error("`{key}` is {found}, but must be {allowed}")]
    Value {
        /// Which key.
        key: String,
        /// The value that was given.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// Settings that do not go together.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// A setting that means something, but nothing that is built here.
    #[error("{what} is not supported; {change}")]
    Unsupported {
        /// The setting.
        what: String,
        /// What to do instead.
        change: &'static str,
    },
    /// `leading` goes beyond the table.
    #[error(
        "steps_offset = {offset} puts the first timestep at {timestep}, beyond the last row {last}; \
         take fewer steps or set steps_offset to 0"
    )]
    OffsetTooLarge {
        /// The offset.
        offset: usize,
        /// The timestep beyond the table.
        timestep: f64,
        /// The last row.
        last: f64,
    },
    /// `shift_terminal` stretches what lies between σ = 1 and the last σ, and nothing does.
    #[error(
        "shift_terminal = {terminal} cannot stretch a run whose last sigma is {last}; \
         take at least 2 steps, or set shift_terminal to null"
    )]
    NothingToStretch {
        /// The terminal σ.
        terminal: f64,
        /// The last σ.
        last: f64,
    },
    /// What the strict reading refuses.
    #[error(transparent)]
    Note(#[from] Note),
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The schedule cannot be made.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The levels cannot be had.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The model's wrappers cannot be made.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The sampler cannot be made.
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

    /// `Ok` if `holds`, else the error that names the key.
    pub(crate) fn require(
        holds: bool,
        key: &str,
        found: impl ToString,
        allowed: &str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::value(key, found, allowed)) }
    }
}
