//! The errors of this crate.

use ddm_schedule::Invalid;
use thiserror::Error;

/// The error of sets that cannot be measured or compared, or of an invalid setting.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum QualityError {
    /// The features have no rows or no columns.
    #[error("the features have shape [{rows}, {width}], but need 1 row and 1 column or more")]
    Empty {
        /// The number of rows.
        rows: usize,
        /// The number of columns.
        width: usize,
    },
    /// There are more or fewer numbers than rows times columns.
    #[error("{found} numbers were given for {rows} rows of {width}")]
    Length {
        /// The number of numbers.
        found: usize,
        /// The number of rows.
        rows: usize,
        /// The number of columns.
        width: usize,
    },
    /// A feature is not finite, or beyond ±1e30.
    #[error(
        "row {row} has {value} in column {column}, but features must be finite and within ±1e30; \
         check the samples and the network of the features"
    )]
    NotFinite {
        /// The index of the row.
        row: usize,
        /// The index of the column.
        column: usize,
        /// The value there.
        value: f64,
    },
    /// The tensor cannot be read.
    #[error("the features cannot be read from the device: {reason}")]
    Unreadable {
        /// What burn said.
        reason: String,
    },
    /// Covariances that cannot be decomposed.
    #[error(
        "the covariances cannot be decomposed; scale the features to a std near 1, and drop those that \
         hardly vary"
    )]
    Decomposition,
    /// The network of the features gave more or fewer rows than it was given images.
    #[error("the network returned {found} rows of features for a batch of {images} images")]
    Batch {
        /// The number of rows.
        found: usize,
        /// The number of images.
        images: usize,
    },
    /// Two sets have features of different widths.
    #[error(
        "one set has {first} features a row and the other {second}; use the same network and size \
         for both"
    )]
    Widths {
        /// The width of the first set.
        first: usize,
        /// The width of the second set.
        second: usize,
    },
    /// A set has too few rows for what is measured.
    #[error("{what} needs {least} rows or more in each set, but one has {found}")]
    TooFew {
        /// What is measured.
        what: &'static str,
        /// The smallest number of rows allowed.
        least: usize,
        /// The number of rows.
        found: usize,
    },
    /// There is not one label for each row.
    #[error("{labels} labels were given for {rows} rows")]
    Labels {
        /// The number of labels.
        labels: usize,
        /// The number of rows.
        rows: usize,
    },
    /// The range of rows does not lie in the set.
    #[error("rows {start}..{end} were requested of {rows}")]
    Range {
        /// The first row.
        start: usize,
        /// The row after the last.
        end: usize,
        /// The number of rows.
        rows: usize,
    },
    /// The covariance matrix is not symmetric.
    #[error(
        "the covariance has {one} at [{row}, {column}] and {other} at [{column}, {row}], but must be \
         symmetric"
    )]
    NotSymmetric {
        /// The row of the first.
        row: usize,
        /// The column of the first.
        column: usize,
        /// The entry.
        one: f64,
        /// Its mirror image.
        other: f64,
    },
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl QualityError {
    /// Checks that each of the sets has `least` rows.
    pub(crate) fn require_rows<const N: usize>(
        what: &'static str,
        least: usize,
        found: [usize; N],
    ) -> Result<(), Self> {
        match found.into_iter().find(|&rows| rows < least) {
            Some(found) => Err(Self::TooFew { what, least, found }),
            None => Ok(()),
        }
    }

    /// Checks that two sets have the same width.
    pub(crate) fn require_widths(first: usize, second: usize) -> Result<(), Self> {
        if first == second { Ok(()) } else { Err(Self::Widths { first, second }) }
    }
}
