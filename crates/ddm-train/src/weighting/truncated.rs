//! The weighting of progressive distillation.

use ddm_denoiser::Parameterization;
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use super::{Weighting, from_x0_weight};

/// The truncated SNR weighting: `w₀ = max(SNR, 1)`, that of ε and never less than that of x₀.
///
/// In a few steps, levels of little signal matter: a weight of SNR would ignore them. Source: Salimans &
/// Ho, *Progressive Distillation for Fast Sampling of Diffusion Models*, sec. 4, arXiv 2202.00512.
///
/// ```
/// use ddm_denoiser::{EpsilonPrediction, X0Prediction};
/// use ddm_schedule::NoiseLevel;
/// use ddm_train::{TruncatedSnr, Weighting};
/// let at = NoiseLevel { timestep: 0.0, alpha: 0.6, sigma: 0.8 };
/// assert_eq!(TruncatedSnr.weight(at, &X0Prediction), 1.0);
/// assert!((TruncatedSnr.weight(at, &EpsilonPrediction) - 16.0 / 9.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruncatedSnr;

impl Weighting for TruncatedSnr {
    fn weight(&self, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64 {
        from_x0_weight(at.snr().max(1.0), at, parameterization)
    }
}
