//! The sub-VP process.

use serde::{Deserialize, Serialize};

use crate::{LinearVp, NoiseSchedule, ScheduleError};

/// The continuous sub-VP process with linear β: `α = exp(−½ ∫₀ᵗ β)`, `σ = 1 − α²`.
///
/// It has less noise than the VP process of the same β ([`LinearVp`], with the same default ends)
/// at every t between 0 and 1: α² + σ² < 1. Source: Song et al., *Score-Based Generative Modeling
/// through Stochastic Differential Equations*, eq. 29 (the marginal in the VP form of eq. 33),
/// arXiv 2011.13456.
///
/// ```
/// use ddm_schedule::{LinearVp, NoiseSchedule, SubVp};
/// let (alpha, sigma) = SubVp::default().alpha_sigma(0.3);
/// let (vp_alpha, vp_sigma) = LinearVp::default().alpha_sigma(0.3);
/// assert_eq!(alpha, vp_alpha);
/// assert!((sigma - vp_sigma * vp_sigma).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubVp {
    linear: LinearVp,
}

impl SubVp {
    /// Creates the process from β(0) and β(1), in the ranges of [`LinearVp::new`].
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] if a value is out of range.
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self, ScheduleError> {
        Ok(Self { linear: LinearVp::new(beta_min, beta_max)? })
    }
}

impl NoiseSchedule for SubVp {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        let m = self.linear.minus_log_alpha(t);
        ((-m).exp(), -(-2.0 * m).exp_m1())
    }

    /// Closed form: `e^(−λ) = 1/α − α = 2 sinh(−ln α)`, then the root of the quadratic in t.
    fn time_at(&self, lambda: f64) -> f64 {
        self.linear.time_at_minus_log_alpha((0.5 * (-lambda).exp()).asinh())
    }

    /// `f = −β/2`.
    fn drift(&self, t: f64) -> f64 {
        self.linear.drift(t)
    }

    /// `g² = β (1 − e^(−2∫β))`, and `e^(−2∫β) = α⁴`.
    fn diffusion(&self, t: f64) -> f64 {
        let kept = -(-4.0 * self.linear.minus_log_alpha(t)).exp_m1();
        (self.linear.beta(t) * kept).sqrt()
    }
}
