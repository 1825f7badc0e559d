//! The discrete geometric noise levels of score networks.

use serde::{Deserialize, Serialize};

use crate::exploding::require_sigmas;
use crate::{Invalid, NoiseSchedule, ScheduleError};

/// The schedule of L noise levels in geometric progression, with constant signal:
///
/// ```text
/// α = 1,   σ_i = σ_min γ^i,   γ = (σ_max/σ_min)^(1/(L − 1)),   i = 0 … L − 1
/// ```
///
/// It is the discrete [`VarianceExploding`](crate::VarianceExploding). Row i, the network's
/// timestep, lies at t = (i + 1)/L as in a β table, and the data at t = 0. (The papers count from
/// the noisiest level down.) Between rows ln σ is linear in t, below row 0 σ is. NCSN has 10 levels
/// from 0.01 to 1, for data in [0, 1]. Source: Song & Ermon, *Generative Modeling by Estimating
/// Gradients of the Data Distribution*, sec. 4.2 and 5, arXiv 1907.05600.
///
/// ```
/// use ddm_schedule::{GeometricSigmas, Grid, NoiseSchedule, Trailing};
/// let ladder = GeometricSigmas::new(0.01, 1.0, 3)?;
/// let levels = Trailing.levels(&ladder, 3)?; // every row, then the data
/// assert!(levels.iter().zip([1.0, 0.1, 0.01, 0.0]).all(|(at, s)| (at.sigma - s).abs() < 1e-15));
/// assert_eq!((levels[0].timestep, levels[2].timestep), (2.0, 0.0));
/// assert!(GeometricSigmas::new(1.0, 0.01, 3).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings")]
pub struct GeometricSigmas {
    sigma_min: f64,
    sigma_max: f64,
    steps: usize,
}

impl GeometricSigmas {
    /// Creates L = `steps` levels, at least 2, from σ_min to σ_max; both finite, 0 < σ_min < σ_max.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] if a value is out of range.
    pub fn new(sigma_min: f64, sigma_max: f64, steps: usize) -> Result<Self, ScheduleError> {
        require_sigmas(sigma_min, sigma_max)?;
        Invalid::require(steps >= 2, "steps", steps as f64, "at least 2 for a ladder")?;
        Ok(Self { sigma_min, sigma_max, steps })
    }

    /// Creates the levels of NCSNv2 for data of D = `dimensions` elements: enough levels that each
    /// overlaps with the next. Noise of std σ lies on a shell of radius about √D σ, and γ solves
    ///
    /// ```text
    /// Φ(√(2D)(γ − 1) + 3γ) − Φ(√(2D)(γ − 1) − 3γ) = ½   ⇔   γ = √(2D)/(√(2D) − 3)
    /// ```
    ///
    /// (Φ is the normal distribution function; the first term is 1 up to 1e-9, so the second is ½
    /// and its argument 0.) L is then the least number of levels whose ratio is at most γ.
    /// σ_max should be about the largest distance between two points of the data, so that the
    /// noisiest level joins all of them. Requires D ≥ 5: in fewer dimensions shells overlap for
    /// every γ, so the equation has no solution. (The paper's levels are a little denser: 0.57
    /// instead of ½, which gives 232 levels instead of 220.)
    /// Source: Song & Ermon, *Improved Techniques for Training Score-Based Generative Models*,
    /// techniques 1 and 2, arXiv 2006.09011.
    ///
    /// ```
    /// use ddm_schedule::{GeometricSigmas, NoiseSchedule};
    /// let cifar10 = GeometricSigmas::ncsn_v2(0.01, 50.0, 3 * 32 * 32)?;
    /// assert!(cifar10.steps() == Some(220) && (cifar10.ratio() - 1.0397).abs() < 1e-4);
    /// assert!(GeometricSigmas::ncsn_v2(0.01, 50.0, 4).is_err());
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] unless 0 < σ_min < σ_max < ∞ and D ≥ 5.
    pub fn ncsn_v2(
        sigma_min: f64,
        sigma_max: f64,
        dimensions: usize,
    ) -> Result<Self, ScheduleError> {
        require_sigmas(sigma_min, sigma_max)?;
        let (value, allowed) = (dimensions as f64, "at least 5 for the ladder of NCSNv2");
        Invalid::require(dimensions >= 5, "dimensions", value, allowed)?;
        let root = (2.0 * value).sqrt();
        let gamma = root / (root - 3.0);
        let rungs = ((sigma_max.ln() - sigma_min.ln()) / gamma.ln()).ceil();
        Self::new(sigma_min, sigma_max, 1 + rungs.max(1.0) as usize)
    }

    /// Returns γ = σ_{i+1}/σ_i, above 1.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.log_ratio().exp()
    }

    fn log_ratio(&self) -> f64 {
        (self.sigma_max.ln() - self.sigma_min.ln()) / (self.steps - 1) as f64
    }
}

impl NoiseSchedule for GeometricSigmas {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        let row = self.timestep(t.clamp(0.0, 1.0));
        let sigma = match row {
            row if row < 0.0 => self.sigma_min * (row + 1.0),
            row if row == (self.steps - 1) as f64 => self.sigma_max,
            row => self.sigma_min * (row * self.log_ratio()).exp(),
        };
        (1.0, sigma)
    }

    fn steps(&self) -> Option<usize> {
        Some(self.steps)
    }

    /// Returns the row, `L t − 1`: an integer at the times of rows, and −1 at the data.
    fn timestep(&self, t: f64) -> f64 {
        row_at(t, self.steps)
    }

    /// Closed form: `row = ln(σ/σ_min)/ln γ`, or `σ/σ_min − 1` below row 0, with σ = e^(−λ).
    fn time_at(&self, lambda: f64) -> f64 {
        let over = -lambda - self.sigma_min.ln();
        let row = if over < 0.0 { over.exp_m1() } else { over / self.log_ratio() };
        ((row + 1.0) / self.steps as f64).clamp(0.0, 1.0)
    }
}

/// Returns the row `T t − 1` of a table of T = `steps` rows, an integer if it differs from one by
/// rounding only.
pub(crate) fn row_at(t: f64, steps: usize) -> f64 {
    let row = t * steps as f64 - 1.0;
    if (row - row.round()).abs() < 1e-9 { row.round() } else { row }
}

#[derive(Deserialize)]
struct Settings {
    sigma_min: f64,
    sigma_max: f64,
    steps: usize,
}

impl TryFrom<Settings> for GeometricSigmas {
    type Error = ScheduleError;
    fn try_from(raw: Settings) -> Result<Self, ScheduleError> {
        Self::new(raw.sigma_min, raw.sigma_max, raw.steps)
    }
}
