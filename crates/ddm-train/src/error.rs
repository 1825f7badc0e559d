//! What can go wrong with training.

use ddm_denoiser::ModelError;
use ddm_noise::NoiseError;
use ddm_schedule::Invalid;
use thiserror::Error;

/// Training that cannot start, or that had to stop.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TrainError {
    /// Network, data and objective do not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Random numbers cannot be had.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A module does not have the parameters of its average.
    #[error(
        "parameter {path} is {found} in the module, but {expected} in the average; \
         average modules of one architecture"
    )]
    Parameter {
        /// Path of the parameter in the module.
        path: String,
        /// Its shape in the module, or that it is missing.
        found: String,
        /// Its shape in the average, or that it is missing.
        expected: String,
    },
    /// A saved average cannot be used.
    #[error("the saved average does not fit this module: {reason}")]
    Record {
        /// What is wrong with it.
        reason: String,
    },
    /// The loss is not finite, and was before.
    #[error(
        "the loss of step {step} is {loss}; try a smaller learning rate or clip gradients, and \
         check that the data is finite"
    )]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// Its loss.
        loss: f64,
    },
    /// The data is not finite: the loss of its batch is not, even with weights that gave finite
    /// losses before.
    #[error(
        "the data of the batch of step {step} has a value that is not finite: its loss is {loss}, \
         even with weights whose losses were finite; check the data for NaN and infinity"
    )]
    Data {
        /// The step, from 1.
        step: usize,
        /// Its loss.
        loss: f64,
    },
    /// A value cannot be read back from the device.
    #[error("the loss cannot be read back from the device: {reason}")]
    Read {
        /// What the device says.
        reason: String,
    },
}
