//! The errors of this crate.

use ddm_denoiser::ModelError;
use ddm_noise::NoiseError;
use ddm_schedule::Invalid;
use thiserror::Error;

/// The error of an invalid setting, level or batch, or of a model that does not fit.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ScoreError {
    /// The batch has no samples, or its samples have no elements.
    #[error("x has shape {shape:?}, but every axis must have length 1 or more")]
    Empty {
        /// The shape that was given.
        shape: Vec<usize>,
    },
    /// The model does not fit the batch or the level.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The level has no noise, so the score is undefined.
    #[error(
        "the flow was requested {way} a level with sigma = 0, where the score is undefined; use \
         the least noisy level, ProbabilityFlow::ends()[1], or one with a little noise, such as \
         schedule.level(1e-3)"
    )]
    NoNoise {
        /// "from" if the flow starts at the level, "to" if it ends there.
        way: &'static str,
    },
    /// The model's prediction has no gradient with respect to x.
    #[error(
        "the model's prediction has no gradient with respect to x, which the likelihood \
         requires; check that the model does not detach x and that its output depends on x"
    )]
    NoGradient,
    /// The level does not lie on the schedule.
    #[error(
        "the level alpha = {alpha}, sigma = {sigma} does not lie on the schedule; use \
         schedule.level(t) or schedule.level_at(lambda)"
    )]
    OffSchedule {
        /// Signal scale.
        alpha: f64,
        /// Noise std.
        sigma: f64,
    },
    /// Two latents point in opposite directions, so the shortest arc between them is not unique.
    #[error(
        "the latents of sample {sample} point in opposite directions, so the shortest arc \
         between them is not unique; use other latents"
    )]
    Opposite {
        /// Index of the sample in the batch.
        sample: usize,
    },
    /// The noise source failed.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl ScoreError {
    /// Checks that no axis of the shape is empty.
    pub(crate) fn require_some(shape: &[usize]) -> Result<(), Self> {
        if shape.contains(&0) { Err(Self::Empty { shape: shape.to_vec() }) } else { Ok(()) }
    }
}
