//! Small real data, embedded in the program: 1,797 handwritten digits and a dinosaur.
//!
//! Sources and licences are in `data/README.md`.

mod digits;
mod points;
mod table;

use std::path::PathBuf;

pub use digits::{Digits, digits, digits_from};
pub use points::{dino, normalize, points_from};

/// An invalid data file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file does not exist.
    #[error("there is no file {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A gzip file that is cut off, or does not match its checksum.
    #[error("{} is cut off or damaged: it does not unpack as a whole gzip file", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The unpacker's error.
        source: std::io::Error,
    },
    /// The file is not comma-separated text.
    #[error("{} is not comma-separated text", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// The reader's error.
        source: csv::Error,
    },
    /// A row with too few or too many columns.
    #[error("{}, row {row}: found {found} columns, but a row must have {expected}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// The line in the file, counted from 1.
        row: u64,
        /// Columns of this row.
        found: usize,
        /// The required columns, in words.
        expected: &'static str,
    },
    /// A value that is not a number or outside its range.
    #[error(
        "{}, row {row}, column {column}: found {value:?}, but {allowed} is needed",
        path.display()
    )]
    Value {
        /// The file.
        path: PathBuf,
        /// The line in the file, counted from 1.
        row: u64,
        /// The column, counted from 1.
        column: usize,
        /// The text.
        value: String,
        /// The allowed values, in words.
        allowed: &'static str,
    },
    /// A file without rows.
    #[error("{} holds no rows of data", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Points that all coincide, which cannot be normalized.
    #[error("{} holds points that all coincide, but at least two must differ", path.display())]
    Coincide {
        /// The file.
        path: PathBuf,
    },
}
