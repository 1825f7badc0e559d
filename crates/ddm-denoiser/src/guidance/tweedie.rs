//! From the gradient of a probability to x̂₀.

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};

use super::scale::at_start;
use crate::{ModelError, Scale};

/// `s σ²/α`: how far x̂₀ moves for a gradient of `ln p(y | x)`, since x̂₀ = (x + σ² ∇ ln p(x))/α.
///
/// 0 where s = 0, also at levels without signal.
pub(crate) fn shift(scale: f64, at: NoiseLevel) -> f64 {
    if scale == 0.0 { 0.0 } else { scale * at.sigma * at.sigma / at.alpha }
}

/// The scale where a run starts, if it is a number, and 0 where there is no signal: x, which is
/// noise alone, and with it every p(y | x), says nothing about x̂₀ there.
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

/// Refuses values that are not finite, and says the first of them. Waits for the device; in a
/// browser, where that is not possible, the check is left out.
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
