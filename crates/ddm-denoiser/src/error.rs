//! What can be wrong with a model before a run starts.

use ddm_schedule::Invalid;
use thiserror::Error;

/// A model that does not fit the run it is asked for.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ModelError {
    /// A shape or size does not fit.
    #[error("{what} is {found}, but the model needs {expected}")]
    Shape {
        /// Which quantity.
        what: &'static str,
        /// The value that was given.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// Guidance or a condition was asked of a network that takes none.
    #[error(
        "a condition was given, but this network was configured without one; \
         configure it with a number of classes, or sample without guidance"
    )]
    NoCondition,
    /// The level holds no signal, and the parameterization cannot find x₀ from noise alone.
    #[error(
        "the run starts at alpha = {alpha}, sigma = {sigma}, where {parameterization} prediction \
         says nothing about x0; predict v, x0 or flow there, or start below zero terminal SNR"
    )]
    NoSignal {
        /// Signal scale at the start.
        alpha: f64,
        /// Noise std at the start.
        sigma: f64,
        /// Name of the parameterization.
        parameterization: &'static str,
    },
    /// Guidance by a gradient was asked for where x holds no signal.
    #[error(
        "the run starts at alpha = {alpha}, sigma = {sigma}, where x says nothing about x0 and \
         {what} cannot act; let its scale be 0 there, or start below zero terminal SNR"
    )]
    NoSignalToGuide {
        /// Which guidance.
        what: &'static str,
        /// Signal scale at the start.
        alpha: f64,
        /// Noise std at the start.
        sigma: f64,
    },
    /// What guides by its gradient has none.
    #[error(
        "{what} has no gradient with respect to its input; make its answer from the input by \
         tensor operations that burn can differentiate, without `detach` or `inner`"
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
        /// What the device says.
        reason: String,
    },
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl ModelError {
    /// The error for `what` that the device does not give back, from burn's own.
    pub fn read<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |reason| Self::Read { what, reason: reason.to_string() }
    }

    /// Refuses a prediction of shape `found` where `wanted` is needed: broadcasting would hide it.
    ///
    /// # Errors
    /// [`ModelError::Shape`] where the two differ.
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

    /// Refuses `found` samples of `what` in a batch of `batch`.
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
