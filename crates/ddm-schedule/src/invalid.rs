//! The error of a setting outside its range, shared by the workspace.

use thiserror::Error;

/// A setting whose value is outside its range.
///
/// Every error type of the workspace has a variant for it.
///
/// ```
/// use ddm_schedule::{Invalid, ScheduleError};
/// let step = 1.5;
/// let error = Invalid::require(step < 1.0, "step", step, "below 1").unwrap_err();
/// assert_eq!(error.to_string(), "step is 1.5, but must be below 1");
/// let error: ScheduleError = error.into();
/// ```
#[derive(Clone, Debug, Error, PartialEq)]
#[error("{name} is {value}, but must be {allowed}")]
pub struct Invalid {
    /// Which setting.
    pub name: &'static str,
    /// The value that was given.
    pub value: f64,
    /// What is allowed.
    pub allowed: &'static str,
}

impl Invalid {
    /// `Ok` if `holds`, else the error for this setting.
    ///
    /// # Errors
    /// The setting, where `holds` is false.
    pub fn require(
        holds: bool,
        name: &'static str,
        value: f64,
        allowed: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self { name, value, allowed }) }
    }
}
