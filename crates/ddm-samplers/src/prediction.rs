//! From x̂₀ to what a method works with in its place (ε̂, a velocity), and back.

use burn::tensor::Tensor;
use ddm_denoiser::Parameterization;
use ddm_schedule::NoiseLevel;

/// The factors of x and x̂₀ in what the network would have to predict at `at` for x̂₀ to be the
/// guess: `p x̂₀ + q ε̂` with `ε̂ = (x − α x̂₀)/σ`, and (p, q) the target of `kind`.
///
/// The inverse is `kind.x0_from(at)`: the factors of x and the answer in x̂₀.
pub(crate) fn prediction_from(kind: &dyn Parameterization, at: NoiseLevel) -> (f64, f64) {
    let (p, q) = kind.target(at);
    (q / at.sigma, p - q * at.alpha / at.sigma)
}

/// The answer of `kind` that x̂₀ means for x at `at`.
pub(crate) fn prediction_of<const D: usize>(
    kind: &dyn Parameterization,
    x: Tensor<D>,
    x0: Tensor<D>,
    at: NoiseLevel,
) -> Tensor<D> {
    let (a, b) = prediction_from(kind, at);
    sum([(a, x)], (b, x0))
}

/// The x̂₀ that an answer of `kind` means for x at `at`.
pub(crate) fn x0_of<const D: usize>(
    kind: &dyn Parameterization,
    x: Tensor<D>,
    prediction: Tensor<D>,
    at: NoiseLevel,
) -> Tensor<D> {
    let (a, b) = kind.x0_from(at);
    sum([(a, x)], (b, prediction))
}

/// `Σ a x`; but for the last, what has factor 0 is left out, and what has factor 1 is left alone.
pub(crate) fn sum<const D: usize, const N: usize>(
    terms: [(f64, Tensor<D>); N],
    last: (f64, Tensor<D>),
) -> Tensor<D> {
    let scaled = |(a, x): (f64, Tensor<D>)| if a == 1.0 { x } else { x * a };
    let terms = terms.into_iter().filter(|&(a, _)| a != 0.0);
    terms.fold(scaled(last), |sum, term| sum + scaled(term))
}
