//! What can be wrong with a run before it starts.

use ddm_denoiser::ModelError;
use ddm_schedule::GridError;
use ddm_schedule::Invalid;
use thiserror::Error;

/// A run that cannot start. Once it has started, it cannot fail.
#[derive(Clone, Debug, Error, PartialEq)]
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
    /// The run is over before the sampler has the answers that its order takes.
    #[error(
        "order {order} needs at least {order} steps, but the run has {steps}: \
         take a lower order or more steps"
    )]
    TooFewSteps {
        /// The sampler's order: the answers that it combines.
        order: usize,
        /// Steps of the run.
        steps: usize,
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
