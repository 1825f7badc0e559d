//! Rectified flow: the straight path from data to noise.

use serde::{Deserialize, Serialize};

use crate::NoiseSchedule;

/// The rectified flow, the straight path `x_t = (1 − t) x₀ + t ε`: α = 1 − t, σ = t.
///
/// It is not variance preserving.
///
/// Source: Liu et al., *Flow Straight and Fast*, eq. 1, arXiv 2209.03003 (there with t reversed);
/// Lipman et al., *Flow Matching*, arXiv 2210.02747. Flow prediction
/// learns the velocity dx/dt = ε − x₀.
///
/// ```
/// use ddm_schedule::{NoiseSchedule, RectifiedFlow};
/// assert_eq!(RectifiedFlow.alpha_sigma(0.25), (0.75, 0.25));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RectifiedFlow;

impl NoiseSchedule for RectifiedFlow {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        let t = t.clamp(0.0, 1.0);
        (1.0 - t, t)
    }

    /// Closed form: `t = 1/(1 + e^λ)`.
    fn time_at(&self, lambda: f64) -> f64 {
        1.0 / (1.0 + lambda.exp())
    }

    /// `f = −1/(1 − t)`.
    fn drift(&self, t: f64) -> f64 {
        -1.0 / (1.0 - t.clamp(0.0, 1.0))
    }

    /// `g² = 2t/(1 − t)`.
    fn diffusion(&self, t: f64) -> f64 {
        let (alpha, sigma) = self.alpha_sigma(t);
        (2.0 * sigma / alpha).sqrt()
    }
}
