//! The order of a solver, measured.

use burn::tensor::Device;
use ddm_samplers::{HostNoise, Sampler};
use ddm_schedule::NoiseSchedule;

use crate::{GaussianPath, Violation};

/// Numbers of steps at which errors are taken.
pub(crate) const STEPS: [usize; 4] = [20, 40, 80, 160];
const LAW: &str = "a solver has its order";

/// A deterministic sampler has this order, ± 0.2, on [`GaussianPath`]'s default problem.
pub fn has_order<S: Sampler<2>>(
    sampler: &S,
    order: f64,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    let path = GaussianPath::new(schedule)?;
    let found = measured_order(sampler, &path, device)?;
    Violation::unless(
        (found - order).abs() <= 0.2,
        LAW,
        || format!("{found:.2}"),
        &format!("{order} ± 0.2"),
    )
}

/// The order of a deterministic sampler: p in `error ~ n^(−p)`, the slope of ln(error) over ln(n)
/// for n = 20, 40, 80, 160 steps.
///
/// On a device without f64 rounding hides the errors of methods above order 2.
pub fn measured_order<S: Sampler<2>>(
    sampler: &S,
    path: &GaussianPath<'_>,
    device: &Device,
) -> Result<f64, Violation> {
    let errors: Vec<f64> =
        STEPS.iter().map(|&n| error(sampler, path, n, device)).collect::<Result<_, _>>()?;
    slope(&errors).ok_or_else(|| {
        Violation::new(LAW, format!("errors {errors:?} at {STEPS:?} steps"), "errors above 0")
    })
}

/// The root mean square error against the exact solution of the probability-flow ODE, on which
/// `(x − α μ)/√(α² s² + σ²)` is constant, over starts from −2 to 2 standard deviations.
pub fn error<S: Sampler<2>>(
    sampler: &S,
    path: &GaussianPath<'_>,
    n: usize,
    device: &Device,
) -> Result<f64, Violation> {
    let z = [-2.0, -1.0, 0.0, 1.0, 2.0];
    let found = path.run(sampler, n, &z, HostNoise::new(0), device)?;
    let squares = found.iter().zip(path.solution(&z)).map(|(x, exact)| (x - exact).powi(2));
    Ok((squares.sum::<f64>() / z.len() as f64).sqrt())
}

/// Least-squares slope of −ln(error) over ln(steps).
pub(crate) fn slope(errors: &[f64]) -> Option<f64> {
    let points: Vec<(f64, f64)> =
        STEPS.iter().zip(errors).map(|(&n, error)| ((n as f64).ln(), error.ln())).collect();
    let mean =
        |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / points.len() as f64;
    let (mean_x, mean_y) = (mean(|p| p.0), mean(|p| p.1));
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Some(-covariance / variance).filter(|slope| slope.is_finite())
}
