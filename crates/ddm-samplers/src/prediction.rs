//! Conversion of x̂₀ to the quantity a method works with (ε̂, a velocity), and back.

use burn::tensor::Tensor;
use ddm_denoiser::{Parameterization, linear_combination};
use ddm_schedule::NoiseLevel;

/// The factors of x and x̂₀ in the prediction of `kind` at `at` that corresponds to x̂₀:
/// `p x̂₀ + q ε̂` with `ε̂ = (x − α x̂₀)/σ`, and (p, q) the target of `kind`.
///
/// The inverse is `kind.x0_from(at)`: the factors of x and the prediction in x̂₀.
pub(crate) fn prediction_from(kind: &dyn Parameterization, at: NoiseLevel) -> (f64, f64) {
    let (p, q) = kind.target(at);
    (q / at.sigma, p - q * at.alpha / at.sigma)
}

/// The prediction of `kind` that corresponds to x̂₀, for x at `at`.
pub(crate) fn prediction_of<const D: usize>(
    kind: &dyn Parameterization,
    x: Tensor<D>,
    x0: Tensor<D>,
    at: NoiseLevel,
) -> Tensor<D> {
    let (a, b) = prediction_from(kind, at);
    linear_combination([(a, x), (b, x0)])
}

/// The x̂₀ that corresponds to a prediction of `kind`, for x at `at`.
pub(crate) fn x0_of<const D: usize>(
    kind: &dyn Parameterization,
    x: Tensor<D>,
    prediction: Tensor<D>,
    at: NoiseLevel,
) -> Tensor<D> {
    let (a, b) = kind.x0_from(at);
    linear_combination([(a, x), (b, prediction)])
}
