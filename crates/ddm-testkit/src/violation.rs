//! What a law answers where it does not hold.

use thiserror::Error;

/// A law that does not hold: which, what was found, and what is demanded.
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
#[error("{law}: {found}; demanded is {demanded}")]
pub struct Violation {
    /// The law, in a few words.
    pub law: &'static str,
    /// The numbers that were found, and where.
    pub found: String,
    /// What they should have been.
    pub demanded: String,
}

impl Violation {
    /// A violation of `law`.
    pub fn new(law: &'static str, found: impl Into<String>, demanded: impl Into<String>) -> Self {
        Self { law, found: found.into(), demanded: demanded.into() }
    }

    /// `Ok` if `holds`, else the violation.
    pub(crate) fn unless(
        holds: bool,
        law: &'static str,
        found: impl FnOnce() -> String,
        demanded: &str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(law, found(), demanded)) }
    }

    /// The violation that something which should work answered an error.
    pub(crate) fn refused(law: &'static str, error: impl std::fmt::Display) -> Self {
        Self::new(law, format!("refused with \"{error}\""), "that it works")
    }
}
