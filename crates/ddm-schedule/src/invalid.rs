//! The error for a setting out of range, shared by the workspace.

use thiserror::Error;

/// The error for a setting out of range.
///
/// Every error type of the workspace has a variant with it.
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
    /// The name of the setting.
    pub name: &'static str,
    /// The value that was given.
    pub value: f64,
    /// What is allowed.
    pub allowed: &'static str,
}

impl Invalid {
    /// Checks a setting.
    ///
    /// # Errors
    ///
    /// Returns the error for this setting if `holds` is false.
    pub fn require(
        holds: bool,
        name: &'static str,
        value: f64,
        allowed: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self { name, value, allowed }) }
    }
}
