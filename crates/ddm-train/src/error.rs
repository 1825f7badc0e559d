//! Errors of training.

use ddm_denoiser::ModelError;
use ddm_noise::NoiseError;
use ddm_schedule::Invalid;
use thiserror::Error;

use crate::CheckpointError;

/// An error of training.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TrainError {
    /// A network, data or objective that do not match.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A failure to draw random numbers.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// A setting out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A module with other parameters than its average.
    #[error(
        "parameter {path} is {found} in the module, but {expected} in the average; \
         average modules of the same architecture only"
    )]
    Parameter {
        /// The path of the parameter in the module.
        path: String,
        /// Its shape in the module, or "missing".
        found: String,
        /// Its shape in the average, or "missing".
        expected: String,
    },
    /// A teacher that has not all that a narrower network takes from it.
    #[error(
        "parameter {path} is {found} in the teacher, but {needed:?} in the narrower network; give both \
         the same layers, and it no wider ones"
    )]
    Narrow {
        /// The path of the parameter in the module.
        path: String,
        /// Its shape in the teacher, or "missing".
        found: String,
        /// Its shape in the narrower network.
        needed: Vec<usize>,
    },
    /// A saved average that does not match the module.
    #[error(
        "the saved average does not match this module: {reason}; load it into the architecture that \
         was saved"
    )]
    Record {
        /// The reason.
        reason: String,
    },
    /// A checkpoint that cannot be written or continued from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A loss that became non-finite.
    #[error(
        "the loss of step {step} is {loss}{}; try a smaller learning rate or clip gradients, and \
         check that the data is finite",
        at(.times)
    )]
    Diverged {
        /// The step, counted from 1.
        step: usize,
        /// Its loss.
        loss: f64,
        /// The times of the samples whose losses are not finite; empty if they are not known.
        times: Vec<f64>,
    },
    /// A non-finite value in the data: the loss of its batch is not finite, even with weights that
    /// gave finite losses before.
    #[error(
        "the batch of step {step} contains a value that is not finite: its loss is {loss}, even with \
         weights that gave finite losses before; check the data for NaN and infinity"
    )]
    Data {
        /// The step, counted from 1.
        step: usize,
        /// Its loss.
        loss: f64,
    },
    /// A batch that cannot be made.
    #[error("the batch cannot be made: {reason}")]
    Batch {
        /// The reason, which names the item.
        reason: String,
    },
    /// A device that failed, such as one of a machine that is down, in a training on several.
    #[error(
        "device {device} failed in step {step}: {reason}; start it again or leave it out, and continue \
         from the last checkpoint"
    )]
    Device {
        /// Which of the devices, as burn calls it.
        device: String,
        /// The step, counted from 1; 0 before the first.
        step: usize,
        /// The message of the device.
        reason: String,
    },
    /// A failure to read a value from the device.
    #[error("the loss cannot be read from the device: {reason}")]
    Read {
        /// The message of the device.
        reason: String,
    },
}

/// Returns where losses are not finite, for a message.
fn at(times: &[f64]) -> String {
    let (first, last) =
        times.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), &time| {
            (first.min(time), last.max(time))
        });
    match times.len() {
        0 => String::new(),
        1 => format!(" at time {first:.4}"),
        samples => format!(" for {samples} samples at times {first:.4} to {last:.4}"),
    }
}

impl TrainError {
    /// Returns the error of a batch that cannot be made, for the loss function of a training.
    ///
    /// ```
    /// use ddm_train::TrainError;
    /// let row = "7.5x".parse::<f32>().map_err(TrainError::batch);
    /// assert_eq!(row.unwrap_err().to_string(), "the batch cannot be made: invalid float literal");
    /// ```
    pub fn batch(error: impl std::fmt::Display) -> Self {
        Self::Batch { reason: error.to_string() }
    }
}
