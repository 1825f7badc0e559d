//! The schedule of EDM.

use serde::{Deserialize, Serialize};

use crate::exploding::require_sigmas;
use crate::spacing::karras_at;
use crate::{Invalid, NoiseSchedule, ScheduleError};

/// The schedule of EDM: α = 1, `σ(t) = (σ_min^(1/ρ) + t (σ_max^(1/ρ) − σ_min^(1/ρ)))^ρ`; the
/// timestep is `c_noise = ¼ ln σ`.
///
/// Evenly spaced t are Karras-spaced σ. Default: σ 0.002 … 80, ρ = 7. Source: Karras et al.,
/// *Elucidating the Design Space of Diffusion-Based Generative Models*, eq. 5 and table 1,
/// arXiv 2206.00364.
///
/// ```
/// use ddm_schedule::{Edm, NoiseSchedule};
/// let edm = Edm::default();
/// assert_eq!(edm.alpha_sigma(1.0), (1.0, 80.0));
/// assert!((edm.timestep(1.0) - 0.25 * 80_f64.ln()).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings")]
pub struct Edm {
    sigma_min: f64,
    sigma_max: f64,
    rho: f64,
}

impl Edm {
    /// Creates the schedule from σ(0), σ(1) and ρ; all finite, 0 < σ_min < σ_max, 0 < ρ.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] if a value is out of range.
    pub fn new(sigma_min: f64, sigma_max: f64, rho: f64) -> Result<Self, ScheduleError> {
        require_sigmas(sigma_min, sigma_max)?;
        Invalid::require(rho.is_finite() && rho > 0.0, "rho", rho, "finite and above 0")?;
        Ok(Self { sigma_min, sigma_max, rho })
    }

    fn sigma(&self, t: f64) -> f64 {
        match t {
            t if t <= 0.0 => self.sigma_min,
            t if t >= 1.0 => self.sigma_max,
            t => karras_at(t, self.sigma_min, self.sigma_max, self.rho),
        }
    }
}

impl Default for Edm {
    fn default() -> Self {
        Self { sigma_min: 0.002, sigma_max: 80.0, rho: 7.0 }
    }
}

impl NoiseSchedule for Edm {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        (1.0, self.sigma(t))
    }

    /// `c_noise = ¼ ln σ`.
    fn timestep(&self, t: f64) -> f64 {
        0.25 * self.sigma(t).ln()
    }

    fn time_of(&self, timestep: f64) -> f64 {
        self.time_at(-4.0 * timestep)
    }

    /// Closed form: eq. 5 solved for t, with σ = e^(−λ).
    fn time_at(&self, lambda: f64) -> f64 {
        let root = |sigma: f64| sigma.powf(self.rho.recip());
        let (low, high) = (root(self.sigma_min), root(self.sigma_max));
        ((root((-lambda).exp()) - low) / (high - low)).clamp(0.0, 1.0)
    }
}

#[derive(Deserialize)]
struct Settings {
    sigma_min: f64,
    sigma_max: f64,
    rho: f64,
}

impl TryFrom<Settings> for Edm {
    type Error = ScheduleError;
    fn try_from(settings: Settings) -> Result<Self, ScheduleError> {
        Self::new(settings.sigma_min, settings.sigma_max, settings.rho)
    }
}
