//! The measured order of a solver.

use burn::tensor::{Device, Tensor};
use ddm_samplers::{Context, HostNoise, Sampler};
use ddm_schedule::{NoiseLevel, NoiseSchedule};

use crate::{GaussianPath, Violation, moments};

/// The numbers of steps at which errors are measured.
pub(crate) const STEPS: [usize; 4] = [20, 40, 80, 160];
const LAW: &str = "a solver has its stated order";

/// Checks that a deterministic sampler has this order, ± 0.2, on [`GaussianPath`]'s default
/// problem.
///
/// # Errors
///
/// Returns the first violation.
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

/// Checks that a sampler has its stated [order](Sampler::order): by its error if it is
/// deterministic, by the error of the variance if it is stochastic. A sampler may state no order.
///
/// The deterministic order is that between n and 2n steps from an exact start, which excludes the
/// error of the first, lower-order steps. n is 96, or 1536 if the error changes sign before its
/// limit.
///
/// # Errors
///
/// Returns the first violation.
pub fn is_as_claimed<S: Sampler<2>>(
    sampler: &S,
    path: &GaussianPath<'_>,
    device: &Device,
) -> Result<(), Violation> {
    let Some(claimed) = sampler.order() else { return Ok(()) };
    if sampler.is_stochastic() {
        return moments::has_weak_order(sampler, claimed as f64, path, device);
    }
    let near = |order: f64| (order - claimed as f64).abs() <= 0.2;
    let early = order_between(sampler, path, 96, claimed - 1, device)?;
    if near(early) {
        return Ok(());
    }
    let late = order_between(sampler, path, 1536, claimed - 1, device)?;
    let found = || format!("{early:.2} at 96 steps and {late:.2} at 1536");
    Violation::unless(near(late), LAW, found, &format!("{claimed} ± 0.2"))
}

/// Returns the order of a deterministic sampler between n and 2n steps, `log₂(error(n)/error(2n))`,
/// where the first `exact` steps are those of the exact solution. They give a multistep sampler a
/// complete history.
///
/// # Errors
///
/// Returns the first violation.
pub fn order_between<S: Sampler<2>>(
    sampler: &S,
    path: &GaussianPath<'_>,
    n: usize,
    exact: usize,
    device: &Device,
) -> Result<f64, Violation> {
    let sampler = ExactStart { sampler, path, steps: exact };
    Ok((error(&sampler, path, n, device)? / error(&sampler, path, 2 * n, device)?).log2())
}

/// A sampler that takes the first steps on the exact solution, and only passes them to the inner
/// sampler to give it a complete and exact history.
struct ExactStart<'a, S> {
    sampler: &'a S,
    path: &'a GaussianPath<'a>,
    steps: usize,
}

impl<S: Sampler<2>> Sampler<2> for ExactStart<'_, S> {
    type State = S::State;

    fn step(
        &self,
        cx: &mut Context<'_, 2>,
        x: Tensor<2>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut S::State,
    ) -> Tensor<2> {
        let taken = self.sampler.step(cx, x.clone(), from, to, state);
        if cx.done() >= self.steps {
            return taken;
        }
        let ((mean, std), (end, end_std)) = (self.path.marginal(from), self.path.marginal(to));
        (x - mean) * (end_std / std) + end
    }
}

/// Returns the order of a deterministic sampler: p in `error ~ n^(−p)`, the slope of ln(error) over
/// ln(n) for n = 20, 40, 80, 160 steps.
///
/// On a device without f64, rounding hides the errors of methods above order 2.
///
/// # Errors
///
/// Returns the first violation.
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

/// Returns the root mean square error against the exact solution of the probability-flow ODE, on
/// which `(x − α μ)/√(α² s² + σ²)` is constant, over starts from −2 to 2 standard deviations.
///
/// # Errors
///
/// Returns the first violation.
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

/// Returns the least-squares slope of −ln(error) over ln(steps).
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
