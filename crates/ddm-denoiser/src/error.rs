//! The errors of models, found before a run starts.

use ddm_schedule::{Invalid, NoiseLevel};
use thiserror::Error;

/// The error of a model that does not fit the requested run.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ModelError {
    /// A shape or size is invalid.
    #[error("{what} is {found}, but the model needs {expected}")]
    Shape {
        /// Which quantity.
        what: &'static str,
        /// The value that was given.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// A condition or guidance was used with a network that takes no condition.
    #[error(
        "a condition was given, but this network was configured without one; \
         configure it with a number of classes, or sample without guidance"
    )]
    NoCondition,
    /// The level has no signal, and the parameterization cannot recover x₀ from noise alone.
    #[error(
        "the run starts at alpha = {alpha}, sigma = {sigma}, where {parameterization} prediction \
         does not determine x0; predict v, x0 or flow instead, or start at a level with signal"
    )]
    NoSignal {
        /// Signal scale at the start.
        alpha: f64,
        /// Noise std at the start.
        sigma: f64,
        /// Name of the parameterization.
        parameterization: &'static str,
    },
    /// The run starts where x holds no signal, and guidance by a gradient is undefined.
    #[error(
        "the run starts at alpha = {alpha}, sigma = {sigma}, where x does not depend on x0 and \
         {what} is undefined; set its scale to 0 there, or start below zero terminal SNR"
    )]
    NoSignalToGuide {
        /// Which guidance.
        what: &'static str,
        /// Signal scale at the start.
        alpha: f64,
        /// Noise std at the start.
        sigma: f64,
    },
    /// A function whose gradient guides the model cannot be differentiated.
    #[error(
        "{what} has no gradient with respect to its input; compute its output from the input \
         with tensor operations that burn can differentiate, without `detach` or `inner`"
    )]
    NoGradient {
        /// Which function.
        what: &'static str,
    },
    /// Values cannot be read back from the device.
    #[error("{what} cannot be read back from the device: {reason}")]
    Read {
        /// Which values.
        what: &'static str,
        /// The error of the device.
        reason: String,
    },
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl ModelError {
    /// Returns a function that turns an error of burn into [`ModelError::Read`] for `what`.
    pub fn read<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |reason| Self::Read { what, reason: reason.to_string() }
    }

    /// Checks that a prediction has the shape `wanted`: broadcasting would hide a difference.
    ///
    /// # Errors
    /// Returns [`ModelError::Shape`] if the two shapes differ.
    pub fn require_prediction<const D: usize>(
        found: [usize; D],
        wanted: [usize; D],
    ) -> Result<(), Self> {
        if found == wanted {
            return Ok(());
        }
        let (found, expected) = (format!("{found:?}"), format!("the shape {wanted:?}"));
        Err(Self::Shape { what: "the shape of the prediction", found, expected })
    }

    /// Checks that σ/α is finite, for a parameterization whose time is its logarithm.
    pub(crate) fn require_signal(
        at: NoiseLevel,
        parameterization: &'static str,
    ) -> Result<(), Self> {
        let NoiseLevel { alpha, sigma, .. } = at;
        if alpha > 0.0 && (sigma / alpha).is_finite() {
            return Ok(());
        }
        Err(Self::NoSignal { alpha, sigma, parameterization })
    }

    /// Checks that `what` has one entry per sample of the batch.
    ///
    /// # Errors
    /// Returns [`ModelError::Shape`] if `found` is not `batch`.
    pub fn require_batch(what: &'static str, found: usize, batch: usize) -> Result<(), Self> {
        if found == batch {
            return Ok(());
        }
        Err(Self::Shape {
            what,
            found: format!("for {found} samples"),
            expected: format!("one for each of the {batch} samples of the batch"),
        })
    }
}
