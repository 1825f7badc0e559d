//! The decay of a moving average.

use ddm_schedule::Invalid;
use serde::{Deserialize, Serialize};

/// The decay d of `θ̄ ← θ̄ + (1 − d)(θ − θ̄)` at each update.
///
/// A number is a constant decay in [0, 1) with the warm-up of TensorFlow's
/// `ExponentialMovingAverage`: `d = min(decay, (1 + n)/(10 + n))` after n updates, which soon
/// removes the random initialization. [`PowerDecay`] is the power function of EDM2.
///
/// ```
/// use ddm_train::Decay;
/// assert_eq!((0.999.decay(0), 0.999.decay(1_000_000)), (0.1, 0.999));
/// ```
pub trait Decay: Send + Sync {
    /// Returns d of the next update, in [0, 1]; `updates` is the number of updates so far.
    fn decay(&self, updates: usize) -> f64;

    /// Checks the setting. [`Ema::new`](crate::Ema::new) calls it once.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is out of range.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

impl Decay for f64 {
    fn decay(&self, updates: usize) -> f64 {
        let n = updates as Self;
        self.min((1.0 + n) / (10.0 + n))
    }
    fn check(&self) -> Result<(), Invalid> {
        Invalid::require((0.0..1.0).contains(self), "EMA decay", *self, "in [0, 1)")
    }
}

/// The power-function decay of EDM2: `d = (1 − 1/t)^(γ + 1)` at update t = 1, 2, ….
///
/// After t updates the weights of update s have the coefficient `(γ + 1) s^γ / t^(γ + 1)`. So the
/// average spans the same fraction of training of any length, and the initialization has
/// coefficient 0. That fraction is the relative width, the standard deviation of s/t:
///
/// ```text
/// σ_rel = √(γ + 1) / ((γ + 2) √(γ + 3)),    so γ³ + 7γ² + (16 − σ_rel⁻²) γ + 12 − σ_rel⁻² = 0
/// ```
///
/// [`reconstruct`](crate::reconstruct) computes averages of other widths after training.
/// Source: Karras et al., *Analyzing and Improving the Training Dynamics of Diffusion Models*,
/// sec. 3.1 and app. C, arXiv 2312.02696.
///
/// ```
/// use ddm_train::PowerDecay;
/// let decay = PowerDecay::from_width(0.10)?;
/// assert!((decay.gamma() - 6.94).abs() < 0.01);
/// assert!((decay.width() - 0.10).abs() < 1e-12);
/// # Ok::<(), ddm_schedule::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Gamma")]
pub struct PowerDecay {
    gamma: f64,
}

impl PowerDecay {
    /// Creates the decay of exponent γ, at least 0.
    ///
    /// # Errors
    ///
    /// Returns an error if γ is below 0 or not finite.
    pub fn new(gamma: f64) -> Result<Self, Invalid> {
        let holds = gamma >= 0.0 && gamma.is_finite();
        Invalid::require(holds, "gamma of the EMA", gamma, "finite and at least 0")?;
        Ok(Self { gamma })
    }

    /// Creates the decay of relative width σ_rel, above 0 and at most `1/√12` (γ = 0). Usual values
    /// are 0.05 to 0.15.
    ///
    /// # Errors
    ///
    /// Returns an error if the width is out of range.
    pub fn from_width(width: f64) -> Result<Self, Invalid> {
        let holds = width > 0.0 && width <= 12_f64.sqrt().recip() && width.powi(-2).is_finite();
        Invalid::require(holds, "width of the EMA", width, "above 0 and at most 1/sqrt(12)")?;
        // Newton's method from the right, where the cubic is convex, converges to the largest root.
        let s = width.powi(-2);
        let mut gamma = width.recip();
        for _ in 0..100 {
            let value = ((gamma + 7.0) * gamma + 16.0 - s) * gamma + 12.0 - s;
            let slope = (3.0 * gamma + 14.0) * gamma + 16.0 - s;
            let next = (gamma - value / slope).max(0.0);
            if next >= gamma {
                break;
            }
            gamma = next;
        }
        Self::new(gamma)
    }

    /// Returns γ.
    pub fn gamma(&self) -> f64 {
        self.gamma
    }

    /// Returns σ_rel, the standard deviation of the average in units of the training so far.
    pub fn width(&self) -> f64 {
        (self.gamma + 1.0).sqrt() / ((self.gamma + 2.0) * (self.gamma + 3.0).sqrt())
    }
}

impl Decay for PowerDecay {
    fn decay(&self, updates: usize) -> f64 {
        (1.0 - 1.0 / (updates as f64 + 1.0)).powf(self.gamma + 1.0)
    }
}

#[derive(Deserialize)]
struct Gamma {
    gamma: f64,
}

impl TryFrom<Gamma> for PowerDecay {
    type Error = Invalid;
    fn try_from(raw: Gamma) -> Result<Self, Invalid> {
        Self::new(raw.gamma)
    }
}
