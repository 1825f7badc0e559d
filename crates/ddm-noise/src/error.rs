//! Errors of noise sources.

use thiserror::Error;

/// A failure to draw random numbers.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum NoiseError {
    /// A failure to read random numbers from the device.
    #[error("random numbers cannot be read from the device: {reason}")]
    Read {
        /// The message of the device.
        reason: String,
    },
    /// A uniform draw from a source of normal numbers only.
    #[error(
        "this noise source draws only normal numbers, but uniform numbers are required; implement \
         NoiseSource::uniform for it"
    )]
    NotUniform,
    /// A draw that the record does not contain.
    #[error(
        "draw {draw} of the record has {found} numbers, but {wanted} are required; record a run of the \
         same settings"
    )]
    Record {
        /// The index of the draw, from 0.
        draw: usize,
        /// The number of values recorded for it; 0 past the end.
        found: usize,
        /// The number of values required.
        wanted: usize,
    },
    /// A list of generators whose length is not the batch size.
    #[error(
        "{generators} generators cannot draw for a batch of {samples} samples; pass one generator per \
         sample"
    )]
    Batch {
        /// The number of generators.
        generators: usize,
        /// The batch size.
        samples: usize,
    },
}
