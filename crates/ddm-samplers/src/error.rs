//! What can be wrong with a run before it starts.

use ddm_denoiser::ModelError;
use ddm_schedule::GridError;
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
    /// A sampler's setting is outside its range.
    #[error("{name} = {value}, but must be {allowed}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// The value that was given.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
}
