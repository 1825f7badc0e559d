//! The laws of every [`Sampler`], stochastic or not, of any order.

mod claims;
mod determinism;
mod predictions;

use burn::tensor::Device;
use ddm_samplers::{HostNoise, Run, Sampler, Sampling};
use ddm_schedule::NoiseSchedule;

use crate::{Gaussian, Violation};

pub use claims::{calls_as_claimed, draws_as_claimed};
pub use determinism::{ignores_the_batch, repeats, repeats_on_threads};
pub use predictions::{counts_evaluations, heads_agree, reaches_x0, works_at_every_rank};

/// The number of steps of the laws' runs; a table must have at least as many rows.
const STEPS: usize = 6;

/// Checks every law of a sampler. The schedule must have at least 6 steps.
///
/// [`order`](crate::order) and [`moments`](crate::moments) check its accuracy.
///
/// # Errors
///
/// Returns the first violation.
pub fn all<S>(sampler: &S, schedule: &dyn NoiseSchedule, device: &Device) -> Result<(), Violation>
where
    S: Sampler<2> + Sampler<3> + Sampler<4> + Sampler<5> + Sync,
{
    repeats(sampler, schedule, device)?;
    repeats_on_threads(sampler, schedule, device)?;
    ignores_the_batch(sampler, schedule, device)?;
    works_at_every_rank(sampler, schedule, device)?;
    reaches_x0(sampler, schedule, device)?;
    heads_agree(sampler, schedule, device)?;
    counts_evaluations(sampler, schedule, device)?;
    draws_as_claimed(sampler, schedule, device)?;
    calls_as_claimed(sampler, schedule, device)
}

/// Returns the data of these laws: 12 elements with different means.
fn data(std: f64) -> Result<Gaussian, Violation> {
    Gaussian::new((0..12).map(|j| f64::from(j) / 6.0 - 1.0), std)
        .map_err(|error| Violation::from_error("Gaussian data", error))
}

/// Starts a short run on that data.
fn start<'a, const D: usize, S: Sampler<D>>(
    law: &'static str,
    data: &'a Gaussian,
    sampler: &'a S,
    schedule: &'a dyn NoiseSchedule,
    (noise, shape): (HostNoise, [usize; D]),
    device: &Device,
) -> Result<Run<'a, D, &'a Gaussian, &'a S, HostNoise>, Violation> {
    let sampling = Sampling::new(data, schedule).sampler(sampler).steps(STEPS).noise(noise);
    sampling.start(shape, device).map_err(|error| Violation::from_error(law, error))
}
