//! Errors of network settings and of image shapes.

use ddm_denoiser::ModelError;
use ddm_schedule::Invalid;
use thiserror::Error;

/// Invalid settings of a network.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum NetworkConfigError {
    /// A setting out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An empty list of levels.
    #[error("{what} is empty, but must have one entry per level")]
    Empty {
        /// The setting.
        what: &'static str,
    },
    /// A size that is not a multiple of another.
    #[error("{what} is {found}, but must be a multiple of {divisor}, the {divisor_of}")]
    Multiple {
        /// The setting.
        what: &'static str,
        /// Its value.
        found: usize,
        /// The number that must divide it.
        divisor: usize,
        /// The meaning of the divisor.
        divisor_of: &'static str,
    },
    /// A size that must be another.
    #[error("{what} is {found}, but must be {expected}, the {expected_of}")]
    Equal {
        /// The setting.
        what: &'static str,
        /// Its value.
        found: usize,
        /// The value that it must have.
        expected: usize,
        /// The meaning of that value.
        expected_of: &'static str,
    },
    /// A level that the network does not have.
    #[error(
        "{what} contains level {found}, but the levels are 0 to {last}; remove it or add levels"
    )]
    Level {
        /// The setting.
        what: &'static str,
        /// The level.
        found: usize,
        /// The last level of the network.
        last: usize,
    },
    /// A list that has not one entry per level.
    #[error("{what} has {found} entries, but must have {levels}, one per level")]
    Levels {
        /// The setting.
        what: &'static str,
        /// The number of its entries.
        found: usize,
        /// The number of levels.
        levels: usize,
    },
    /// A list that is too short for the blocks of a level.
    #[error("{what} has {found} entries for a level of {blocks} blocks; one per block is needed")]
    Layers {
        /// The setting.
        what: &'static str,
        /// The number of entries.
        found: usize,
        /// The number of blocks of the level.
        blocks: usize,
    },
    /// A setting that needs another.
    #[error("{what} needs {allowed}")]
    Needs {
        /// The setting.
        what: &'static str,
        /// What it needs.
        allowed: &'static str,
    },
}

impl NetworkConfigError {
    /// Returns an error if `found` is 0.
    pub(crate) fn require_some(what: &'static str, found: usize) -> Result<(), Self> {
        Ok(Invalid::require(found > 0, what, found as f64, "at least 1")?)
    }

    /// Returns an error if a list has not one entry per level.
    pub(crate) fn require_levels(
        what: &'static str,
        found: usize,
        levels: usize,
    ) -> Result<(), Self> {
        if found == levels { Ok(()) } else { Err(Self::Levels { what, found, levels }) }
    }

    /// Returns an error if the list of channels is empty, or an entry is not a multiple of
    /// `groups`.
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

    /// Returns an error if a size is not `expected`.
    pub(crate) fn require_equal(
        what: &'static str,
        found: usize,
        expected: usize,
        expected_of: &'static str,
    ) -> Result<(), Self> {
        if found == expected {
            return Ok(());
        }
        Err(Self::Equal { what, found, expected, expected_of })
    }

    /// Returns an error if a size is not a multiple of `divisor`, which must not be 0.
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

/// Returns an error if an image has another number of channels, or sides that are not multiples of
/// `factor`.
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
