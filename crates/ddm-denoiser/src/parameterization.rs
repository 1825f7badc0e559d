//! Parameterizations: the quantities a network may predict, in one common form.

use auto_impl::auto_impl;
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// The quantity that a network predicts, `target = p x₀ + q ε`.
///
/// (p, q) gives both the target of the loss and, with `x = α x₀ + σ ε`, the prediction of the data:
///
/// ```text
/// x̂₀ = (q x − σ F)/(q α − σ p)
/// ```
///
/// ```
/// use ddm_denoiser::{Parameterization, VPrediction};
/// use ddm_schedule::NoiseLevel;
/// let at = NoiseLevel { timestep: 500.0, alpha: 0.6, sigma: 0.8 };
/// assert_eq!(VPrediction.target(at), (-0.8, 0.6)); // v = α ε − σ x₀
/// assert_eq!(VPrediction.x0_from(at), (0.6, -0.8)); // x̂₀ = α x − σ v
/// ```
#[auto_impl(&, Box, Arc)]
pub trait Parameterization: Send + Sync {
    /// Returns (p, q) of `target = p x₀ + q ε`.
    fn target(&self, at: NoiseLevel) -> (f64, f64);

    /// Returns the name used in error messages.
    fn name(&self) -> &'static str {
        "this"
    }

    /// Returns (a, b) of `x̂₀ = a x + b F`: `a = q/(qα − σp)`, `b = −σ/(qα − σp)`.
    ///
    /// |b| is the factor from an error of the network to one of x̂₀. At σ = 0, (1/α, 0) or x₀ itself.
    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        let (p, q) = self.target(at);
        let determinant = q * at.alpha - at.sigma * p;
        (q / determinant, -at.sigma / determinant)
    }

    /// Returns the factor of the network's input x: 1, except for preconditioned networks.
    fn input_scale(&self, at: NoiseLevel) -> f64 {
        let _ = at;
        1.0
    }

    /// Returns the time input of the network: the level's timestep, except for networks conditioned
    /// on σ.
    fn time(&self, at: NoiseLevel) -> f64 {
        at.timestep
    }

    /// Checks that x̂₀ can be computed from F at a level. An error of F, relative to the size of
    /// its target, is amplified `|b| √(p² + q²)` times in x̂₀, which may be a million at most. The
    /// factor is σ/α for ε and the score, so both are invalid at (or very near) zero signal. It is
    /// about 1 at most for x₀, v, flow and EDM.
    ///
    /// # Errors
    /// Returns [`ModelError::NoSignal`] if it cannot.
    fn check(&self, at: NoiseLevel) -> Result<(), ModelError> {
        let ((p, q), (_, b)) = (self.target(at), self.x0_from(at));
        if at.sigma == 0.0 || b.abs() * p.hypot(q) <= 1e6 {
            return Ok(());
        }
        let NoiseLevel { alpha, sigma, .. } = at;
        Err(ModelError::NoSignal { alpha, sigma, parameterization: self.name() })
    }
}

/// Prediction of the noise: target ε, (p, q) = (0, 1); `x̂₀ = (x − σ ε̂)/α`.
///
/// x̂₀ is undefined where α = 0. Source: Ho et al., eq. 14, arXiv 2006.11239.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpsilonPrediction;

impl Parameterization for EpsilonPrediction {
    fn target(&self, _: NoiseLevel) -> (f64, f64) {
        (0.0, 1.0)
    }
    fn name(&self) -> &'static str {
        "epsilon"
    }
}

/// Prediction of the data: target x₀, (p, q) = (1, 0). Diffusers calls it "sample".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct X0Prediction;

impl Parameterization for X0Prediction {
    fn target(&self, _: NoiseLevel) -> (f64, f64) {
        (1.0, 0.0)
    }
    /// (0, 1) at every level; the general quotient is 0/0 at σ = 0.
    fn x0_from(&self, _: NoiseLevel) -> (f64, f64) {
        (0.0, 1.0)
    }
    fn name(&self) -> &'static str {
        "x0"
    }
}

/// Prediction of the velocity on the circle: target `v = α ε − σ x₀`, (p, q) = (−σ, α).
///
/// Well-behaved at both ends of the schedule. Source: Salimans & Ho, *Progressive Distillation*,
/// sec. 4, arXiv 2202.00512.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VPrediction;

impl Parameterization for VPrediction {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        (-at.sigma, at.alpha)
    }
    fn name(&self) -> &'static str {
        "v"
    }
}

/// Prediction of the score of the noisy data: target `∇ log p(x_t | x₀) = −ε/σ`, (p, q) = (0,
/// −1/σ).
///
/// Source: Song et al., eq. 7, arXiv 2011.13456. x̂₀ is undefined where α = 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScorePrediction;

impl Parameterization for ScorePrediction {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        (0.0, -1.0 / at.sigma)
    }
    /// `(1/α, σ²/α)`, which is (1/α, 0) at σ = 0, where the target itself is infinite.
    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        (1.0 / at.alpha, at.sigma / at.alpha * at.sigma)
    }
    fn name(&self) -> &'static str {
        "score"
    }
}

/// A parameterization whose network takes `x/√(α² + σ²)`, which has unit variance for data of unit
/// variance. Use it for the large σ of a variance-exploding process.
///
/// Where variance is preserved it changes nothing. Around [`EpsilonPrediction`] it is NCSNv2's
/// score network `s(x, σ) = f(x)/σ` (there `f = σ s = −ε̂`, so the network's last layer has the
/// other sign), whose predictions are of unit size at every level, while those of
/// [`ScorePrediction`] grow as 1/σ. [`EdmPrediction`](crate::EdmPrediction) scales outputs as well.
/// Source: Song & Ermon, *Improved Techniques for Training Score-Based Generative Models*,
/// technique 3, arXiv 2006.09011.
///
/// ```
/// use ddm_denoiser::{EpsilonPrediction, Parameterization, ScaledInput};
/// use ddm_schedule::NoiseLevel;
/// let at = NoiseLevel { timestep: 9.0, alpha: 1.0, sigma: 40.0 };
/// let scaled = ScaledInput(EpsilonPrediction);
/// assert_eq!(scaled.input_scale(at), 1.0 / at.scale());
/// assert_eq!(scaled.target(at), EpsilonPrediction.target(at));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaledInput<P>(pub P);

impl<P: Parameterization> Parameterization for ScaledInput<P> {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        self.0.target(at)
    }
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        self.0.x0_from(at)
    }
    fn input_scale(&self, at: NoiseLevel) -> f64 {
        self.0.input_scale(at) / at.scale()
    }
    fn time(&self, at: NoiseLevel) -> f64 {
        self.0.time(at)
    }
    fn check(&self, at: NoiseLevel) -> Result<(), ModelError> {
        self.0.check(at)
    }
}

/// Prediction of the velocity of the straight path: target `dx/dt = ε − x₀`, (p, q) = (−1, 1).
///
/// With [`RectifiedFlow`](ddm_schedule::RectifiedFlow) this is flow matching.
/// Source: Liu et al., eq. 1, arXiv 2209.03003.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowPrediction;

impl Parameterization for FlowPrediction {
    fn target(&self, _: NoiseLevel) -> (f64, f64) {
        (-1.0, 1.0)
    }
    fn name(&self) -> &'static str {
        "flow"
    }
}
