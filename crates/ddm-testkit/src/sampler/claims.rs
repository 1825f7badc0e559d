//! What a sampler says of itself.

use burn::tensor::{Device, Tensor};
use ddm_samplers::{HostNoise, NoiseSource, Sampler, Sampling};
use ddm_schedule::{NoiseLevel, NoiseSchedule};

use super::{STEPS, data};
use crate::Violation;

/// [`HostNoise`], with its draws counted.
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

/// The steps draw noise if the sampler [says so](Sampler::is_stochastic), and only then.
pub fn draws_as_claimed<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "a sampler draws noise where it says that it does";
    let (draws, _) = counts(LAW, sampler, schedule, STEPS, device)?;
    let claimed = sampler.is_stochastic();
    let found = || format!("{draws} draws in {STEPS} steps");
    let wanted = if claimed { "draws: it is stochastic" } else { "none: it is not stochastic" };
    Violation::unless((draws > 0) == claimed, LAW, found, wanted)
}

/// Two more steps cost two times the [model calls](Sampler::calls) that the sampler says.
pub fn calls_as_claimed<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "a step takes as many model calls as the sampler says";
    let (_, few) = counts(LAW, sampler, schedule, STEPS - 2, device)?;
    let (_, many) = counts(LAW, sampler, schedule, STEPS, device)?;
    let found = || format!("{} for 2 steps more", many - few);
    let wanted = format!("{}", 2 * sampler.calls());
    Violation::unless(many - few == 2 * sampler.calls(), LAW, found, &wanted)
}

/// Draws and model calls in a run of n steps.
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
    let run = sampling.start([2, 12], device).map_err(|error| Violation::refused(law, error))?;
    let calls = run.last().map_or(0, |frame| frame.evaluations);
    // The first draw is the start's.
    Ok((noise.draws - 1, calls))
}
