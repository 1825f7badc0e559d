//! What can go wrong with noise.

use thiserror::Error;

/// Random numbers that cannot be had.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum NoiseError {
    /// The device drew numbers that cannot be read back.
    #[error("random numbers cannot be read back from the device: {reason}")]
    Read {
        /// What the device says.
        reason: String,
    },
    /// The source has no uniform numbers.
    #[error("this noise source draws normal numbers only; implement NoiseSource::uniform for it")]
    NotUniform,
    /// The record has no such draw.
    #[error("draw {draw} of the record has {found} numbers, but {wanted} are needed")]
    Record {
        /// Number of the draw, from 0.
        draw: usize,
        /// Numbers of that draw on record; 0 past the end.
        found: usize,
        /// Numbers that are needed.
        wanted: usize,
    },
    /// A list of generators, one per sample, for a batch of another size.
    #[error("{generators} generators cannot draw for a batch of {samples}: pass one per sample")]
    Batch {
        /// Generators in the list.
        generators: usize,
        /// Samples in the batch.
        samples: usize,
    },
}
