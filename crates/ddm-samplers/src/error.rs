//! What can be wrong with a run before it starts.

use ddm_denoiser::ModelError;
use ddm_schedule::GridError;
use ddm_schedule::Invalid;
use thiserror::Error;

/// A run that cannot start. Once it has started, it cannot fail.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SamplingError {
    /// The grid cannot give the steps.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The model does not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A shape with an empty axis.
    #[error("the shape to sample is {shape:?}, but every axis must be at least 1 long")]
    EmptyShape {
        /// The shape that was asked for.
        shape: Vec<usize>,
    },
    /// Levels were given, and also a grid or another number of steps.
    #[error("both levels of {levels} steps and {with} were given; give one of the two")]
    LevelsAndGrid {
        /// Steps of the given levels.
        levels: usize,
        /// What was given beside them.
        with: String,
    },
    /// A tensor of a sampler cannot be stretched to the shape that it has to fit.
    #[error("the shape of {what} is {found:?}, which does not broadcast against {wanted:?}")]
    Shape {
        /// Which tensor, and against what.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape to fit.
        wanted: Vec<usize>,
    },
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}
