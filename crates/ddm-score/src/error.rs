//! What can be wrong with a setting of this crate.

use ddm_denoiser::ModelError;
use ddm_noise::NoiseError;
use ddm_schedule::Invalid;
use thiserror::Error;

/// A setting that is out of range, or a model that does not fit.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ScoreError {
    /// A batch without samples, or samples without elements.
    #[error("x has shape {shape:?}, but every axis must be at least 1 long")]
    Empty {
        /// The shape that was given.
        shape: Vec<usize>,
    },
    /// The model does not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A level without noise, where there is no score.
    #[error(
        "the flow was asked to go {way} a level where sigma = 0, and there is no score; go {way} \
         the least noise there is (ProbabilityFlow::ends), or to a little (schedule.level(1e-3))"
    )]
    NoNoise {
        /// "from" or "to".
        way: &'static str,
    },
    /// The model's answer does not depend on x in a way that can be differentiated.
    #[error(
        "the model's answer has no gradient with respect to x, which the likelihood needs; \
         does it detach x, or answer the same whatever x is?"
    )]
    NoGradient,
    /// A level that the schedule does not pass through.
    #[error(
        "the level alpha = {alpha}, sigma = {sigma} does not lie on the schedule; take one of \
         schedule.level(t) or schedule.level_at(lambda)"
    )]
    OffSchedule {
        /// Signal scale.
        alpha: f64,
        /// Noise std.
        sigma: f64,
    },
    /// Two latents that point in opposite directions, between which no way is the shortest.
    #[error("the latents of sample {sample} are opposite: no arc between them is the shortest")]
    Opposite {
        /// Its place in the batch.
        sample: usize,
    },
    /// Random numbers cannot be had.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl ScoreError {
    /// Refuses shapes with an empty axis.
    pub(crate) fn require_some(shape: &[usize]) -> Result<(), Self> {
        if shape.contains(&0) { Err(Self::Empty { shape: shape.to_vec() }) } else { Ok(()) }
    }
}
