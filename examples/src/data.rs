//! Small real data, embedded in the program: 1,797 handwritten digits and a dinosaur.
//!
//! Where the files come from, and under which licences, is told in `data/README.md`.

mod digits;
mod points;
mod table;

use std::path::PathBuf;

pub use digits::{Digits, digits, digits_from};
pub use points::{dino, normalize, points_from};

/// Why a data file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    Missing {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file is there, but reading it failed.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A gzip file that ends too early, or whose content does not match its checksum.
    #[error("{} is cut off or damaged: it does not unpack as a whole gzip file", path.display())]
    Gzip {
        /// The file asked for.
        path: PathBuf,
        /// What the unpacker said.
        source: std::io::Error,
    },
    /// The file holds something that is not comma-separated text.
    #[error("{} is not comma-separated text", path.display())]
    Csv {
        /// The file asked for.
        path: PathBuf,
        /// What the reader said.
        source: csv::Error,
    },
    /// A row with too few or too many columns.
    #[error("{}, row {row}: found {found} columns, but a row must have {expected}", path.display())]
    Columns {
        /// The file asked for.
        path: PathBuf,
        /// The line in the file, counted from 1.
        row: u64,
        /// How many columns this row has.
        found: usize,
        /// What it should have, in words.
        expected: &'static str,
    },
    /// A value that is no number or lies outside what is allowed.
    #[error(
        "{}, row {row}, column {column}: found {value:?}, but {allowed} is needed",
        path.display()
    )]
    Value {
        /// The file asked for.
        path: PathBuf,
        /// The line in the file, counted from 1.
        row: u64,
        /// The column, counted from 1.
        column: usize,
        /// The text found there.
        value: String,
        /// What is allowed, in words.
        allowed: &'static str,
    },
    /// No rows at all.
    #[error("{} holds no rows of data", path.display())]
    Empty {
        /// The file asked for.
        path: PathBuf,
    },
    /// Points that all coincide have no scale to normalize by.
    #[error("{} holds points that all coincide, but at least two must differ", path.display())]
    Coincide {
        /// The file asked for.
        path: PathBuf,
    },
}
