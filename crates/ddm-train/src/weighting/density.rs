//! Distributions of times as weights of uniform times.

use ddm_denoiser::Parameterization;
use ddm_schedule::NoiseLevel;

use super::{Weighting, from_x0_weight};
use crate::{CosMap, LogitNormal};

/// Returns the weight of the error of F that is π(t) for the error of a velocity, at the time
/// `t = σ/(α + σ)` of the straight path.
///
/// `x̂₀ = x − t F` on this path, so that `w₀ = π/t²`, which holds on every schedule.
fn from_flow_weight(
    density: impl Fn(f64) -> f64,
    at: NoiseLevel,
    parameterization: &dyn Parameterization,
) -> f64 {
    let t = at.sigma / (at.alpha + at.sigma);
    from_x0_weight(density(t) / (t * t), at, parameterization)
}

/// The density of the logit-normal distribution as a weight of uniform times:
/// `w = π(t) = exp(−(logit t − mean)²/(2 std²))/(std √2π t (1 − t))` for flow matching.
///
/// On [`RectifiedFlow`](ddm_schedule::RectifiedFlow) it is the objective of the same
/// [`LogitNormal`] as the time sampling, which has less variance. Source: Esser et al.,
/// *Scaling Rectified Flow Transformers for High-Resolution Image Synthesis*, sec. 3.1,
/// arXiv 2403.03206.
impl Weighting for LogitNormal {
    fn weight(&self, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64 {
        from_flow_weight(|t| self.density(t), at, parameterization)
    }
}

/// The density of the map as a weight of uniform times: `w = π(t) = 2/(π − 2πt + 2πt²)` for flow
/// matching.
///
/// On [`RectifiedFlow`](ddm_schedule::RectifiedFlow) it is the objective of [`CosMap`] as the time
/// sampling. Source: Esser et al., sec. 3.1, arXiv 2403.03206.
impl Weighting for CosMap {
    fn weight(&self, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64 {
        from_flow_weight(|t| self.density(t), at, parameterization)
    }
}
