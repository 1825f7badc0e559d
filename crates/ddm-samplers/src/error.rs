//! The errors of runs, found before they start.

use ddm_denoiser::ModelError;
use ddm_schedule::GridError;
use ddm_schedule::Invalid;
use thiserror::Error;

/// The error of a run that cannot start. A run that has started cannot fail.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SamplingError {
    /// The grid cannot produce the requested steps.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The model does not fit the run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The shape to sample has an empty axis.
    #[error("the shape to sample is {shape:?}, but every axis must have length 1 or more")]
    EmptyShape {
        /// The requested shape.
        shape: Vec<usize>,
    },
    /// Both levels and a grid, or both levels and another number of steps, were given.
    #[error("levels with {levels} steps and {with} were both given; give only one of them")]
    LevelsAndGrid {
        /// Number of steps of the given levels.
        levels: usize,
        /// The other setting that was given.
        with: String,
    },
    /// A tensor of a sampler does not broadcast against the shape it is used with.
    #[error("the shape of {what} is {found:?}, which does not broadcast against {wanted:?}")]
    Shape {
        /// Which tensor, and what it is compared with.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape to broadcast against.
        wanted: Vec<usize>,
    },
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}
