//! The properties that a sampler states.

use burn::tensor::{Device, Tensor};
use ddm_samplers::{HostNoise, NoiseSource, Sampler, Sampling};
use ddm_schedule::{NoiseLevel, NoiseSchedule};

use super::{STEPS, data};
use crate::Violation;

/// A [`HostNoise`] that counts its draws.
struct Counted {
    noise: HostNoise,
    draws: usize,
}

impl NoiseSource for Counted {
    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        self.draws += 1;
        self.noise.normal(shape, device)
    }

    fn between(
        &mut self,
        shape: &[usize],
        from: NoiseLevel,
        to: NoiseLevel,
        device: &Device,
    ) -> Tensor<1> {
        self.draws += 1;
        self.noise.between(shape, from, to, device)
    }
}

/// Checks that the steps draw noise if and only if the sampler
/// [is stochastic](Sampler::is_stochastic).
///
/// # Errors
///
/// Returns the first violation.
pub fn draws_as_claimed<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "a sampler draws noise only if it is stochastic";
    let (draws, _) = counts(LAW, sampler, schedule, STEPS, device)?;
    let claimed = sampler.is_stochastic();
    let found = || format!("{draws} draws in {STEPS} steps");
    let wanted = if claimed {
        "draws, since it is stochastic"
    } else {
        "no draws, since it is not stochastic"
    };
    Violation::unless((draws > 0) == claimed, LAW, found, wanted)
}

/// Checks that two more steps take twice the stated [model calls](Sampler::calls) per step.
///
/// # Errors
///
/// Returns the first violation.
pub fn calls_as_claimed<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "a step takes the stated number of model calls";
    let (_, few) = counts(LAW, sampler, schedule, STEPS - 2, device)?;
    let (_, many) = counts(LAW, sampler, schedule, STEPS, device)?;
    let found = || format!("{} for 2 more steps", many - few);
    let wanted = format!("{}", 2 * sampler.calls());
    Violation::unless(many - few == 2 * sampler.calls(), LAW, found, &wanted)
}

/// Returns the numbers of draws and model calls in a run of n steps.
fn counts<S: Sampler<2>>(
    law: &'static str,
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    n: usize,
    device: &Device,
) -> Result<(usize, usize), Violation> {
    let data = data(0.5)?;
    let mut noise = Counted { noise: HostNoise::new(8), draws: 0 };
    let sampling = Sampling::new(&data, schedule).sampler(sampler).steps(n).noise(&mut noise);
    let run = sampling.start([2, 12], device).map_err(|error| Violation::from_error(law, error))?;
    let calls = run.last().map_or(0, |frame| frame.evaluations);
    // The first draw is the start.
    Ok((noise.draws - 1, calls))
}
