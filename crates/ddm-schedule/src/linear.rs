//! The linear schedules: the β tables of DDPM and latent diffusion, and the continuous VP process.

use serde::{Deserialize, Serialize};

use crate::{BetaTable, Invalid, NoiseSchedule, ScheduleError};

impl BetaTable {
    /// Creates the linear table: `β_i = start + (end − start) i/(T − 1)`, i = 0 … T − 1.
    ///
    /// DDPM uses T = 1000, 1e-4 … 0.02 ([`BetaTable::default`]). The ends are used as given, for
    /// any T; some code bases multiply them by 1000/T; do so in the arguments if needed.
    /// Source: Ho et al., *Denoising Diffusion Probabilistic Models*, sec. 4, arXiv 2006.11239.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, NoiseSchedule};
    /// let ddpm = BetaTable::linear(1000, 1e-4, 0.02)?;
    /// let (alpha, _) = ddpm.alpha_sigma(1.0);
    /// assert!((alpha * alpha - 4.0358e-5).abs() < 1e-9); // almost no signal
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::NoSteps`] if `steps` is 0, and [`ScheduleError::Invalid`] if an end
    /// is outside (0, 1).
    pub fn linear(steps: usize, start: f64, end: f64) -> Result<Self, ScheduleError> {
        require_ends(start, end)?;
        Self::new(linspace(start, end, steps))
    }

    /// Creates the table linear in √β: `β_i = (√start + (√end − √start) i/(T − 1))²`.
    ///
    /// Stable Diffusion uses T = 1000, 0.00085 … 0.012. The latent-diffusion code calls it
    /// "linear". Source: Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion
    /// Models*, app. E, arXiv 2112.10752.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::NoSteps`] if `steps` is 0, and [`ScheduleError::Invalid`] if an end
    /// is outside (0, 1).
    pub fn scaled_linear(steps: usize, start: f64, end: f64) -> Result<Self, ScheduleError> {
        require_ends(start, end)?;
        Self::new(linspace(start.sqrt(), end.sqrt(), steps).map(|root| root * root))
    }
}

/// Requires both ends of a β table in (0, 1).
pub(crate) fn require_ends(start: f64, end: f64) -> Result<(), Invalid> {
    let good = |beta: f64| beta > 0.0 && beta < 1.0;
    Invalid::require(good(start), "beta start", start, "in (0, 1)")?;
    Invalid::require(good(end), "beta end", end, "in (0, 1)")
}

/// Returns `steps` evenly spaced values with both ends; only the first if `steps` is 1.
pub(crate) fn linspace(start: f64, end: f64, steps: usize) -> impl Iterator<Item = f64> {
    let stride = (end - start) / (steps.max(2) - 1) as f64;
    (0..steps).map(move |i| start + stride * i as f64)
}

/// The continuous variance-preserving process with linear β, the limit of the linear table:
/// `β(t) = β_min + t (β_max − β_min)`, `α = exp(−½ ∫₀ᵗ β)`, `σ² = 1 − α²`.
///
/// Default: β_min = 0.1, β_max = 20. Source: Song et al., *Score-Based Generative Modeling through
/// Stochastic Differential Equations*, eq. 33, arXiv 2011.13456.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Ends")]
pub struct LinearVp {
    beta_min: f64,
    beta_max: f64,
}

impl LinearVp {
    /// Creates the process from β(0) and β(1); both finite, 0 ≤ β_min, 0 < β_max, their sum at most
    /// 2800.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] if a value is out of range. (A larger sum makes α(1) 0 in
    /// `f64`.)
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self, ScheduleError> {
        let finite = |beta: f64| beta.is_finite() && beta >= 0.0;
        Invalid::require(finite(beta_min), "beta_min", beta_min, "finite and at least 0")?;
        Invalid::require(
            finite(beta_max) && beta_max > 0.0,
            "beta_max",
            beta_max,
            "finite and above 0",
        )?;
        let sum = beta_min + beta_max; // −4 ln α(1)
        Invalid::require(sum <= 2800.0, "beta_min + beta_max", sum, "at most 2800")?;
        Ok(Self { beta_min, beta_max })
    }

    /// `β(t) = β_min + t (β_max − β_min)`.
    pub(crate) fn beta(&self, t: f64) -> f64 {
        self.beta_min + t.clamp(0.0, 1.0) * (self.beta_max - self.beta_min)
    }

    /// `−ln α(t) = ½ ∫₀ᵗ β = t² (β_max − β_min)/4 + t β_min/2`.
    pub(crate) fn minus_log_alpha(&self, t: f64) -> f64 {
        let t = t.clamp(0.0, 1.0);
        t * (0.25 * t * (self.beta_max - self.beta_min) + 0.5 * self.beta_min)
    }

    /// Returns the t at which `−ln α` is m: the root of the quadratic.
    pub(crate) fn time_at_minus_log_alpha(&self, m: f64) -> f64 {
        // Beyond the ends the quotient below would be 0/0 or ∞/∞.
        let m = m.clamp(f64::MIN_POSITIVE, f64::MAX.sqrt());
        let half_rise = 0.5 * (self.beta_max - self.beta_min);
        let square = 0.25 * self.beta_min * self.beta_min + 2.0 * half_rise * m;
        let root = square.max(0.0).sqrt();
        // The smaller root, in the form without cancellation: t = 2m / (β_min/2 + √…).
        (2.0 * m / (0.5 * self.beta_min + root)).clamp(0.0, 1.0)
    }
}

impl Default for LinearVp {
    fn default() -> Self {
        Self { beta_min: 0.1, beta_max: 20.0 }
    }
}

impl NoiseSchedule for LinearVp {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        let m = self.minus_log_alpha(t);
        ((-m).exp(), (-(-2.0 * m).exp_m1()).sqrt())
    }

    /// Closed form: `−ln α = ½ ln(1 + e^(−2λ))`, then the root of the quadratic in t
    /// (Lu et al., *DPM-Solver*, app. D.4, arXiv 2206.00927).
    fn time_at(&self, lambda: f64) -> f64 {
        // ½ ln(1 + e^(−2λ)), without overflow for very negative λ.
        let m = 0.5 * (-2.0 * lambda.abs()).exp().ln_1p() + (-lambda).max(0.0);
        self.time_at_minus_log_alpha(m)
    }

    /// `f = −β/2`.
    fn drift(&self, t: f64) -> f64 {
        -0.5 * self.beta(t)
    }

    /// `g = √β`.
    fn diffusion(&self, t: f64) -> f64 {
        self.beta(t).sqrt()
    }
}

#[derive(Deserialize)]
struct Ends {
    beta_min: f64,
    beta_max: f64,
}

impl TryFrom<Ends> for LinearVp {
    type Error = ScheduleError;
    fn try_from(ends: Ends) -> Result<Self, ScheduleError> {
        Self::new(ends.beta_min, ends.beta_max)
    }
}
