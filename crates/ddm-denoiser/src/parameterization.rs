//! What a network predicts: one form for all of them.

use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// What a network predicts, as `target = p x₀ + q ε`.
///
/// (p, q) gives both the target of the loss and, with `x = α x₀ + σ ε`, the guess at the data:
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
pub trait Parameterization: Send + Sync {
    /// (p, q) of `target = p x₀ + q ε`.
    fn target(&self, at: NoiseLevel) -> (f64, f64);

    /// What it is called in messages.
    fn name(&self) -> &'static str {
        "this"
    }

    /// (a, b) of `x̂₀ = a x + b F`: `a = q/(qα − σp)`, `b = −σ/(qα − σp)`.
    ///
    /// |b| is how much an error of the network counts in x̂₀.
    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        let (p, q) = self.target(at);
        let determinant = q * at.alpha - at.sigma * p;
        (q / determinant, -at.sigma / determinant)
    }

    /// What x is multiplied by before the network sees it: 1, but for preconditioned networks.
    fn input_scale(&self, at: NoiseLevel) -> f64 {
        let _ = at;
        1.0
    }

    /// The time that the network is told at a level: the level's t, but for networks that are told
    /// the noise itself.
    fn time(&self, at: NoiseLevel) -> f64 {
        at.timestep
    }

    /// Refuses a level where x̂₀ is not to be had from F, that is where |b| exceeds a million:
    /// ε and the score at (or all but at) zero signal.
    fn check(&self, at: NoiseLevel) -> Result<(), ModelError> {
        let (_, b) = self.x0_from(at);
        if b.abs() <= 1e6 {
            return Ok(());
        }
        let NoiseLevel { alpha, sigma, .. } = at;
        Err(ModelError::NoSignal { alpha, sigma, parameterization: self.name() })
    }
}

impl<P: Parameterization + ?Sized> Parameterization for &P {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        (**self).target(at)
    }
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        (**self).x0_from(at)
    }
    fn input_scale(&self, at: NoiseLevel) -> f64 {
        (**self).input_scale(at)
    }
    fn time(&self, at: NoiseLevel) -> f64 {
        (**self).time(at)
    }
    fn check(&self, at: NoiseLevel) -> Result<(), ModelError> {
        (**self).check(at)
    }
}

/// The noise: target ε, (p, q) = (0, 1); `x̂₀ = (x − σ ε̂)/α`.
///
/// Says nothing where α = 0. Source: Ho et al., eq. 14, arXiv 2006.11239.
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

/// The data: target x₀, (p, q) = (1, 0). Diffusers calls it "sample".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct X0Prediction;

impl Parameterization for X0Prediction {
    fn target(&self, _: NoiseLevel) -> (f64, f64) {
        (1.0, 0.0)
    }
    fn name(&self) -> &'static str {
        "x0"
    }
}

/// The velocity on the circle: target `v = α ε − σ x₀`, (p, q) = (−σ, α).
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

/// The score of the noisy data: target `∇ log p(x_t | x₀) = −ε/σ`, (p, q) = (0, −1/σ).
///
/// Source: Song et al., eq. 7, arXiv 2011.13456. Says nothing where α = 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScorePrediction;

impl Parameterization for ScorePrediction {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        (0.0, -1.0 / at.sigma)
    }
    fn name(&self) -> &'static str {
        "score"
    }
}

/// Any parameterization whose network is shown `x/√(α² + σ²)`, which has unit variance for data of
/// unit variance: what makes the large σ of a variance-exploding process fit to learn from.
///
/// Where variance is preserved it changes nothing. Around [`EpsilonPrediction`] it is NCSNv2's
/// score network `s(x, σ) = f(x)/σ` (there `f = σ s = −ε̂`, so the network's last layer has the
/// other sign), whose answers are of unit size at every level, while those of [`ScorePrediction`]
/// grow as 1/σ. [`EdmPrediction`](crate::EdmPrediction) scales outputs as well. Source: Song &
/// Ermon, *Improved Techniques for Training Score-Based Generative Models*, technique 3,
/// arXiv 2006.09011.
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

/// The velocity of the straight path: target `dx/dt = ε − x₀`, (p, q) = (−1, 1).
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
