//! The error of a law that does not hold.

use thiserror::Error;

/// The violation of a law: the law, what was found, and what was expected.
///
/// ```
/// use ddm_schedule::NoiseSchedule;
/// use ddm_testkit::schedule;
/// struct Constant;
/// impl NoiseSchedule for Constant {
///     fn alpha_sigma(&self, _: f64) -> (f64, f64) {
///         (0.6, 0.8)
///     }
/// }
/// let violation = schedule::noise_rises(&Constant).unwrap_err();
/// assert_eq!(violation.law, "noise rises with time");
/// println!("{violation}");
/// ```
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{law}: found {found}, expected {demanded}")]
pub struct Violation {
    /// The law, in a few words.
    pub law: &'static str,
    /// The values that were found, and where.
    pub found: String,
    /// The values that the law demands.
    pub demanded: String,
}

impl Violation {
    /// Creates a violation of `law`.
    pub fn new(law: &'static str, found: impl Into<String>, demanded: impl Into<String>) -> Self {
        Self { law, found: found.into(), demanded: demanded.into() }
    }

    /// Returns the violation unless `holds`.
    pub(crate) fn unless(
        holds: bool,
        law: &'static str,
        found: impl FnOnce() -> String,
        demanded: &str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(law, found(), demanded)) }
    }

    /// Creates the violation that an operation returned an error.
    pub(crate) fn from_error(law: &'static str, error: impl std::fmt::Display) -> Self {
        Self::new(law, format!("the error \"{error}\""), "no error")
    }
}
