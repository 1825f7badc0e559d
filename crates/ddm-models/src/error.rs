//! What can be wrong with a network's config.

use ddm_denoiser::ModelError;
use thiserror::Error;

/// A setting with which no network can be made.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ConfigError {
    /// A size is 0.
    #[error("{what} is 0, but must be at least 1")]
    Zero {
        /// Which setting.
        what: &'static str,
    },
    /// A list of levels is empty.
    #[error("{what} is empty, but needs one entry for each level")]
    Empty {
        /// Which setting.
        what: &'static str,
    },
    /// A size is not a multiple of another.
    #[error("{what} is {found}, but must be a multiple of {divisor}, the {divisor_of}")]
    Multiple {
        /// Which setting.
        what: &'static str,
        /// The value that was given.
        found: usize,
        /// What it must be a multiple of.
        divisor: usize,
        /// What that is.
        divisor_of: &'static str,
    },
    /// A setting speaks of a level that the network does not have.
    #[error("{what} names level {found}, but the levels are 0 to {last}")]
    Level {
        /// Which setting.
        what: &'static str,
        /// The level that was given.
        found: usize,
        /// The last level there is.
        last: usize,
    },
    /// A number is outside its range.
    #[error("{what} is {found}, but must be {allowed}")]
    Range {
        /// Which setting.
        what: &'static str,
        /// The value that was given.
        found: f64,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl ConfigError {
    /// Refuses 0.
    pub(crate) fn require_some(what: &'static str, found: usize) -> Result<(), Self> {
        if found == 0 { Err(Self::Zero { what }) } else { Ok(()) }
    }

    /// Refuses a list of channels that is empty or has an entry that is no multiple of `groups`.
    pub(crate) fn require_channels(
        what: &'static str,
        channels: &[usize],
        groups: usize,
    ) -> Result<(), Self> {
        if channels.is_empty() {
            return Err(Self::Empty { what });
        }
        Self::require_some("norm_groups", groups)?;
        for &found in channels {
            Self::require_some(what, found)?;
            Self::require_multiple(what, found, groups, "number of norm groups")?;
        }
        Ok(())
    }

    /// Refuses what is no multiple of `divisor`, which must not be 0.
    pub(crate) fn require_multiple(
        what: &'static str,
        found: usize,
        divisor: usize,
        divisor_of: &'static str,
    ) -> Result<(), Self> {
        if found.is_multiple_of(divisor) {
            return Ok(());
        }
        Err(Self::Multiple { what, found, divisor, divisor_of })
    }
}

/// Refuses `what` of another number of channels, or with sides that are no multiples of `factor`.
pub(crate) fn require_image(
    what: &'static str,
    [_, found, height, width]: [usize; 4],
    channels: usize,
    factor: usize,
) -> Result<(), ModelError> {
    if found != channels {
        let (found, expected) = (format!("of {found} channels"), format!("{channels} channels"));
        return Err(ModelError::Shape { what, found, expected });
    }
    let fits = |side: usize| side > 0 && side.is_multiple_of(factor);
    if fits(height) && fits(width) {
        return Ok(());
    }
    let found = format!("of height {height} and width {width}");
    Err(ModelError::Shape { what, found, expected: format!("multiples of {factor}, above 0") })
}
