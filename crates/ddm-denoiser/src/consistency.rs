//! The preconditioning of consistency models.

use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::{ModelError, Parameterization};

/// The preconditioning of consistency models: [`EdmPrediction`](crate::EdmPrediction) with the identity
/// at the least noise σ_min in place of 0. With `x̄ = x/α` and `s = σ/α`,
///
/// ```text
/// f = c_skip x̄ + c_out F(c_in x̄, 250 ln s)
/// c_skip = σ_d²/((s − σ_min)² + σ_d²)   c_out = σ_d (s − σ_min)/√(s² + σ_d²)
/// c_in   = 1/√(s² + σ_d²)
/// ```
///
/// so that `f(x̄, σ_min) = x̄` exactly: f maps x to data with noise σ_min, to which `Lcm::floor(σ_min)`
/// adds noise again. As a target, (p, q) is infinite at σ_min. Where a consistency model starts from
/// σ = 0, v, flow and EDM prediction already are the identity there. Source: Song et al.,
/// *Consistency Models*, app. C, arXiv 2303.01469.
///
/// ```
/// use ddm_denoiser::{ConsistencyPrediction, Parameterization};
/// use ddm_schedule::NoiseLevel;
/// let consistency = ConsistencyPrediction::default(); // σ_d = 0.5, σ_min = 0.002
/// let at = |sigma| NoiseLevel { timestep: 0.0, alpha: 1.0, sigma };
/// assert_eq!(consistency.x0_from(at(0.002)), (1.0, 0.0));
/// assert!(consistency.x0_from(at(80.0)).0 < 1e-4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings")]
pub struct ConsistencyPrediction {
    sigma_data: f64,
    sigma_min: f64,
}

impl ConsistencyPrediction {
    /// Creates the preconditioning for data of standard deviation σ_d > 0 and the least noise
    /// σ_min ≥ 0, in units of σ/α; both finite.
    ///
    /// # Errors
    /// Returns [`ModelError::Invalid`] if one is out of range.
    pub fn new(sigma_data: f64, sigma_min: f64) -> Result<Self, ModelError> {
        let valid = sigma_data > 0.0 && sigma_data.is_finite();
        Invalid::require(valid, "sigma_data", sigma_data, "finite and above 0")?;
        let valid = sigma_min >= 0.0 && sigma_min.is_finite();
        Invalid::require(valid, "sigma_min", sigma_min, "finite and at least 0")?;
        Ok(Self { sigma_data, sigma_min })
    }

    /// Returns α (s − σ_min), 0 at less noise.
    fn above(&self, at: NoiseLevel) -> f64 {
        (at.sigma - self.sigma_min * at.alpha).max(0.0)
    }

    /// Returns α σ_d.
    fn data(&self, at: NoiseLevel) -> f64 {
        at.alpha * self.sigma_data
    }
}

/// σ_d = 0.5, σ_min = 0.002.
impl Default for ConsistencyPrediction {
    fn default() -> Self {
        Self { sigma_data: 0.5, sigma_min: 0.002 }
    }
}

impl Parameterization for ConsistencyPrediction {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        let (a, b) = self.x0_from(at);
        ((1.0 - a * at.alpha) / b, -a * at.sigma / b)
    }

    fn name(&self) -> &'static str {
        "consistency"
    }

    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        let (above, data) = (self.above(at), self.data(at));
        if above == 0.0 {
            return (at.alpha.recip(), 0.0);
        }
        let skip = data * self.sigma_data / (above * above + data * data);
        (skip, self.sigma_data * above / at.sigma.hypot(data))
    }

    fn input_scale(&self, at: NoiseLevel) -> f64 {
        at.sigma.hypot(self.data(at)).recip()
    }

    fn time(&self, at: NoiseLevel) -> f64 {
        250.0 * (at.sigma / at.alpha).ln()
    }

    /// Returns an error at α = 0, where the time is infinite.
    fn check(&self, at: NoiseLevel) -> Result<(), ModelError> {
        ModelError::require_signal(at, self.name())
    }
}

#[derive(Deserialize)]
struct Settings {
    sigma_data: f64,
    sigma_min: f64,
}

impl TryFrom<Settings> for ConsistencyPrediction {
    type Error = ModelError;
    fn try_from(raw: Settings) -> Result<Self, ModelError> {
        Self::new(raw.sigma_data, raw.sigma_min)
    }
}
