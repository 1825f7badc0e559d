//! EDM's preconditioned networks.

use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::{ModelError, Parameterization};

/// The preconditioning of EDM: `x̂₀ = c_skip x̄ + c_out F(c_in x̄, c_noise)`, where `x̄ = x/α` has
/// noise `s = σ/α`.
///
/// ```text
/// c_skip = σ_d²/(s² + σ_d²)   c_out = s σ_d/√(s² + σ_d²)
/// c_in   = 1/√(s² + σ_d²)     c_noise = ¼ ln s
/// ```
///
/// Computed from α and σ, so that all but c_noise stay finite at σ = 0 and α = 0. c_noise is
/// infinite at both: samplers do not evaluate the network at σ = 0, and α = 0 is an error.
///
/// As a target: p = (1 − c_skip)/c_out, q = −c_skip s/c_out. Inputs and targets of the network
/// have unit variance at every level, for data of std σ_d. Source: Karras et al.,
/// *Elucidating the Design Space of Diffusion-Based Generative Models*, table 1 and eq. 7–8,
/// arXiv 2206.00364.
///
/// ```
/// use ddm_denoiser::{EdmPrediction, Parameterization};
/// use ddm_schedule::NoiseLevel;
/// let edm = EdmPrediction::new(0.5)?;
/// let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 0.5 };
/// let (c_skip, c_out) = edm.x0_from(at);
/// assert!((c_skip - 0.5).abs() < 1e-12 && (c_out - 0.125_f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SigmaData")]
pub struct EdmPrediction {
    sigma_data: f64,
}

impl EdmPrediction {
    /// Creates the preconditioning for data of standard deviation σ_d, finite and above 0.
    ///
    /// # Errors
    /// Returns [`ModelError::Invalid`] if σ_d is outside that range.
    pub fn new(sigma_data: f64) -> Result<Self, ModelError> {
        let valid = sigma_data > 0.0 && sigma_data.is_finite();
        Invalid::require(valid, "sigma_data", sigma_data, "finite and above 0")?;
        Ok(Self { sigma_data })
    }

    /// (α σ_d, σ)/√(α² σ_d² + σ²): the shares of data and noise in x, as a point on the circle.
    fn shares(&self, at: NoiseLevel) -> (f64, f64) {
        let data = at.alpha * self.sigma_data;
        let norm = data.hypot(at.sigma);
        (data / norm, at.sigma / norm)
    }
}

/// σ_d = 0.5, as for images in [−1, 1].
impl Default for EdmPrediction {
    fn default() -> Self {
        Self { sigma_data: 0.5 }
    }
}

impl Parameterization for EdmPrediction {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        let (data, noise) = self.shares(at);
        (noise / self.sigma_data, -data)
    }

    fn name(&self) -> &'static str {
        "EDM"
    }

    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        let (data, noise) = self.shares(at);
        // c_skip/α = data²/α, without the quotient.
        let scale = at.sigma.hypot(at.alpha * self.sigma_data);
        (data * self.sigma_data / scale, noise * self.sigma_data)
    }

    fn input_scale(&self, at: NoiseLevel) -> f64 {
        1.0 / (at.sigma.hypot(at.alpha * self.sigma_data))
    }

    fn time(&self, at: NoiseLevel) -> f64 {
        0.25 * (at.sigma / at.alpha).ln()
    }

    /// Returns an error at α = 0, where c_noise is infinite.
    fn check(&self, at: NoiseLevel) -> Result<(), ModelError> {
        ModelError::require_signal(at, self.name())
    }
}

#[derive(Deserialize)]
struct SigmaData {
    sigma_data: f64,
}

impl TryFrom<SigmaData> for EdmPrediction {
    type Error = ModelError;
    fn try_from(raw: SigmaData) -> Result<Self, ModelError> {
        Self::new(raw.sigma_data)
    }
}
