//! Tweedie's formula: from the gradient of a log-probability to x̂₀.

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};

use super::scale::at_start;
use crate::{ModelError, Scale};

/// The factor `s σ²/α` from a gradient of `ln p(y | x)` to the shift of x̂₀, since
/// x̂₀ = (x + σ² ∇ ln p(x))/α.
///
/// It is 0 where s = 0, also at levels without signal.
pub(crate) fn shift(scale: f64, at: NoiseLevel) -> f64 {
    if scale == 0.0 { 0.0 } else { scale * at.sigma * at.sigma / at.alpha }
}

/// The scale at the level where a run starts. It must be finite, and 0 at a level without signal,
/// where x is pure noise and p(y | x) does not depend on it.
pub(crate) fn check_start(
    what: &'static str,
    scale: &impl Scale,
    noisiest: NoiseLevel,
) -> Result<f64, ModelError> {
    let NoiseLevel { alpha, sigma, .. } = noisiest;
    let scale = at_start(scale, noisiest)?;
    if scale == 0.0 || sigma <= 1e6 * alpha {
        return Ok(scale);
    }
    Err(ModelError::NoSignalToGuide { what, alpha, sigma })
}

/// Checks that all values are finite; the error holds the first that is not. It blocks on the
/// device, so it is left out in a browser, where that is not possible.
pub(crate) fn require_finite<const D: usize>(
    name: &'static str,
    values: Tensor<D>,
) -> Result<(), ModelError> {
    if cfg!(target_family = "wasm") {
        return Ok(());
    }
    let values = values.try_into_vec_as::<f64>().map_err(ModelError::read(name))?;
    match values.into_iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(Invalid { name, value, allowed: "finite" }.into()),
    }
}
