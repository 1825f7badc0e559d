//! The weighting of EDM and EDM2.

use ddm_denoiser::Parameterization;
use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

use super::{Weighting, from_x0_weight};

/// The weighting of EDM and EDM2: `w₀ = (s² + σ_d²)/(s σ_d)²` with `s = σ/α`, which is
/// `SNR + 1/σ_d²`. Default: σ_d = 0.5.
///
/// It is 1 for the network of [`EdmPrediction`](ddm_denoiser::EdmPrediction) of the same σ_d: at the
/// start of training, all levels have the same loss. With σ_d = 1 and preserved variance it is 1 for v.
/// EDM draws levels by [`LogNormal`](crate::LogNormal); EDM2 also learns an
/// [`Uncertainty`](crate::Uncertainty). Sources: Karras et al., *Elucidating the Design Space of
/// Diffusion-Based Generative Models*, table 1, arXiv 2206.00364; *Analyzing and Improving the
/// Training Dynamics of Diffusion Models*, arXiv 2312.02696.
///
/// ```
/// use ddm_denoiser::{EdmPrediction, X0Prediction};
/// use ddm_schedule::NoiseLevel;
/// use ddm_train::{EdmWeight, Weighting};
/// let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 2.0 };
/// let edm = EdmWeight::default();
/// assert!((edm.weight(at, &X0Prediction) - 4.25).abs() < 1e-12); // (4 + 0.25)/(2 · 0.5)²
/// assert!((edm.weight(at, &EdmPrediction::default()) - 1.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SigmaData")]
pub struct EdmWeight {
    sigma_data: f64,
}

impl EdmWeight {
    /// Creates the weighting for data of standard deviation σ_d.
    ///
    /// # Errors
    ///
    /// Returns an error if σ_d is not finite and above 0.
    pub fn new(sigma_data: f64) -> Result<Self, Invalid> {
        let holds = sigma_data > 0.0 && sigma_data.is_finite();
        Invalid::require(holds, "sigma_data", sigma_data, "finite and above 0")?;
        Ok(Self { sigma_data })
    }
}

impl Default for EdmWeight {
    fn default() -> Self {
        Self { sigma_data: 0.5 }
    }
}

impl Weighting for EdmWeight {
    fn weight(&self, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64 {
        from_x0_weight(at.snr() + self.sigma_data.powi(-2), at, parameterization)
    }
}

#[derive(Deserialize)]
struct SigmaData {
    sigma_data: f64,
}

impl TryFrom<SigmaData> for EdmWeight {
    type Error = Invalid;
    fn try_from(raw: SigmaData) -> Result<Self, Invalid> {
        Self::new(raw.sigma_data)
    }
}
