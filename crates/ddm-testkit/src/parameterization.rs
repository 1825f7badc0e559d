//! The laws of [`Parameterization`].

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{Denoiser, Model, Parameterization, from_fn};
use ddm_samplers::{HostNoise, NoiseSource};
use ddm_schedule::{NoiseLevel, NoiseSchedule};

use crate::{Violation, compare, schedule::times};

/// Checks every law of a parameterization at the levels of a schedule.
///
/// # Errors
///
/// Returns the first violation.
pub fn all(
    parameterization: &dyn Parameterization,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    coefficients_invert(parameterization, schedule)?;
    gives_x0_back(parameterization, schedule, device)
}

/// Returns the levels with signal and noise that the parameterization accepts.
fn usable(
    parameterization: &dyn Parameterization,
    schedule: &dyn NoiseSchedule,
) -> impl Iterator<Item = NoiseLevel> {
    let level = move |t| schedule.level(t);
    times().map(level).filter(|&at| at.sigma > 0.0 && parameterization.check(at).is_ok())
}

/// Checks that `x̂₀ = a x + b F` inverts `F = p x₀ + q ε`: `a α + b p = 1` and `a σ + b q = 0`, at
/// every level that the parameterization accepts; and it accepts λ ≥ −4.
///
/// # Errors
///
/// Returns the first violation.
pub fn coefficients_invert(
    parameterization: &dyn Parameterization,
    schedule: &dyn NoiseSchedule,
) -> Result<(), Violation> {
    const LAW: &str = "x0 follows from the target";
    for at in times().map(|t| schedule.level(t)).filter(|at| at.lambda() >= -4.0 && at.sigma > 0.0)
    {
        parameterization.check(at).map_err(|error| Violation::from_error(LAW, error))?;
    }
    for at in usable(parameterization, schedule) {
        let (p, q) = parameterization.target(at);
        let (a, b) = parameterization.x0_from(at);
        let (of_x0, of_noise) = (a * at.alpha + b * p, a * at.sigma + b * q);
        let scale = 1.0 + (a * at.alpha).abs() + (a * at.sigma).abs();
        Violation::unless(
            (of_x0 - 1.0).abs() <= 1e-12 * scale && of_noise.abs() <= 1e-12 * scale,
            LAW,
            || format!("x0_hat = {of_x0} x0 + {of_noise} eps at {at:?}"),
            "1 x0 + 0 eps",
        )?;
    }
    Ok(())
}

/// Checks that a network that predicts the exact target recovers x₀, in f32 on the device.
///
/// # Errors
///
/// Returns the first violation.
pub fn gives_x0_back(
    parameterization: &dyn Parameterization,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    let mut noise = HostNoise::new(1);
    let x0: Tensor<2> = noise.draw([4, 8], device);
    let eps: Tensor<2> = noise.draw([4, 8], device);
    for at in usable(parameterization, schedule).step_by(50) {
        let (p, q) = parameterization.target(at);
        let target = x0.clone() * p + eps.clone() * q;
        let network = from_fn(|_: Tensor<2>, _: Tensor<1>| target.clone());
        let x = x0.clone() * at.alpha + eps.clone() * at.sigma;
        let found = Model::new(network, parameterization).denoise(x, at);
        // Rounding of x and F is scaled by their factors.
        let (a, b) = parameterization.x0_from(at);
        let factors = 1.0 + a.abs() * (at.alpha + at.sigma) + b.abs() * (p.abs() + q.abs());
        let law = "a perfect network recovers x0";
        compare::close_tensors(law, found, x0.clone(), 1e-6 * factors)?;
    }
    Ok(())
}
