//! The score of a denoiser.

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};

use crate::ScoreError;

/// Returns the score of a model that predicts x̂₀ for x at a level:
///
/// ```text
/// s(x) = ∇ₓ ln p_t(x) = (α x̂₀ − x)/σ² = −ε̂/σ
/// ```
///
/// x and x̂₀ have the same shape, and the score has units of 1/x. It is the inverse of Tweedie's
/// formula.
/// Source: Vincent, *A Connection Between Score Matching and Denoising Autoencoders*, 2011; Song et
/// al., *Score-Based Generative Modeling through Stochastic Differential Equations*, sec. 3.3,
/// arXiv 2011.13456.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_schedule::NoiseLevel;
/// use ddm_score::score_of;
/// let at = NoiseLevel { timestep: 500.0, alpha: 0.6, sigma: 0.8 };
/// let x = Tensor::<2>::ones([1, 2], &Device::flex());
/// // For data N(0, 1), x̂₀ is α x, and x is N(0, 1) at a level that preserves variance.
/// let score = score_of(x.clone(), x.clone() * at.alpha, at)?;
/// assert!(score.all_close(-x.clone(), None, None));
/// assert!(score_of(x.clone(), x, NoiseLevel::DATA).is_err());
/// # Ok::<(), ddm_score::ScoreError>(())
/// ```
///
/// # Errors
/// Returns an error if σ is 0, where the score is undefined.
pub fn score_of<const D: usize>(
    x: Tensor<D>,
    x0: Tensor<D>,
    at: NoiseLevel,
) -> Result<Tensor<D>, ScoreError> {
    Invalid::require(
        at.sigma > 0.0,
        "sigma",
        at.sigma,
        "above 0, since the score is undefined at 0",
    )?;
    Ok(score(x, x0, at))
}

/// [`score_of`] without the check, for steps, which start at σ > 0.
pub(crate) fn score<const D: usize>(x: Tensor<D>, x0: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
    (x0 * at.alpha - x) / (at.sigma * at.sigma)
}
