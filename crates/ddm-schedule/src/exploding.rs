//! The variance-exploding schedule: noise is added, the signal stays constant.

use serde::{Deserialize, Serialize};

use crate::{Invalid, NoiseSchedule, ScheduleError};

/// The variance-exploding process: α = 1, `σ(t) = σ_min (σ_max/σ_min)^t`.
///
/// The noise at t = 0 is σ_min, not 0. Default: 0.01 … 50. Source: Song et al., *Score-Based
/// Generative Modeling through Stochastic Differential Equations*, eq. 30, app. C,
/// arXiv 2011.13456.
///
/// ```
/// use ddm_schedule::{NoiseSchedule, VarianceExploding};
/// let (alpha, sigma) = VarianceExploding::new(0.01, 100.0)?.alpha_sigma(0.5);
/// assert!(alpha == 1.0 && (sigma - 1.0).abs() < 1e-12);
/// # Ok::<(), ddm_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Ends")]
pub struct VarianceExploding {
    sigma_min: f64,
    sigma_max: f64,
}

impl VarianceExploding {
    /// Creates the schedule from σ(0) and σ(1); both finite, 0 < σ_min < σ_max.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] if a value is out of range.
    pub fn new(sigma_min: f64, sigma_max: f64) -> Result<Self, ScheduleError> {
        require_sigmas(sigma_min, sigma_max)?;
        Ok(Self { sigma_min, sigma_max })
    }

    fn log_range(&self) -> f64 {
        (self.sigma_max / self.sigma_min).ln()
    }
}

/// Requires 0 < σ_min < σ_max, both finite.
pub(crate) fn require_sigmas(sigma_min: f64, sigma_max: f64) -> Result<(), Invalid> {
    let positive = |sigma: f64| sigma.is_finite() && sigma > 0.0;
    let allowed = "finite and above 0";
    Invalid::require(positive(sigma_min), "sigma_min", sigma_min, allowed)?;
    Invalid::require(positive(sigma_max), "sigma_max", sigma_max, allowed)?;
    Invalid::require(sigma_min < sigma_max, "sigma_min", sigma_min, "below sigma_max")
}

impl Default for VarianceExploding {
    fn default() -> Self {
        Self { sigma_min: 0.01, sigma_max: 50.0 }
    }
}

impl NoiseSchedule for VarianceExploding {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        (1.0, self.sigma_min * (t.clamp(0.0, 1.0) * self.log_range()).exp())
    }

    /// Closed form: `t = ln(σ/σ_min)/ln(σ_max/σ_min)` with ln σ = −λ.
    fn time_at(&self, lambda: f64) -> f64 {
        ((-lambda - self.sigma_min.ln()) / self.log_range()).clamp(0.0, 1.0)
    }

    /// The drift is 0, since α is constant.
    fn drift(&self, _: f64) -> f64 {
        0.0
    }

    /// `g = σ √(2 ln(σ_max/σ_min))`.
    fn diffusion(&self, t: f64) -> f64 {
        self.alpha_sigma(t).1 * (2.0 * self.log_range()).sqrt()
    }
}

#[derive(Deserialize)]
struct Ends {
    sigma_min: f64,
    sigma_max: f64,
}

impl TryFrom<Ends> for VarianceExploding {
    type Error = ScheduleError;
    fn try_from(ends: Ends) -> Result<Self, ScheduleError> {
        Self::new(ends.sigma_min, ends.sigma_max)
    }
}
