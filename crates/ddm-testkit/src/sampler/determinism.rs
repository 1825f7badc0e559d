//! The same seed gives the same samples.

use std::thread;

use burn::tensor::Device;
use ddm_samplers::{HostNoise, Sampler};
use ddm_schedule::NoiseSchedule;

use super::{data, start};
use crate::{Violation, compare};

/// Checks that the same seed gives the same samples, and another seed others; also for interleaved
/// runs, and for a run cloned in the middle.
///
/// # Errors
///
/// Returns the first violation.
pub fn repeats<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "the same seed gives the same sample";
    let data = data(0.5)?;
    let run = |seed| start(LAW, &data, sampler, schedule, (HostNoise::new(seed), [3, 12]), device);
    let (one, two) = (run(1)?.finish(), run(2)?.finish());
    compare::close_tensors(LAW, run(1)?.finish(), one.clone(), 0.0)?;
    if compare::close_tensors(LAW, two.clone(), one.clone(), 0.0).is_ok() {
        return Err(Violation::new(LAW, "the same samples for seeds 1 and 2", "different samples"));
    }
    let (mut first, mut second) = (run(1)?, run(2)?);
    while first.next().is_some() && second.next().is_some() {}
    compare::close_tensors("interleaved runs are independent", first.finish(), one.clone(), 0.0)?;
    compare::close_tensors("interleaved runs are independent", second.finish(), two, 0.0)?;

    let mut run = run(1)?;
    run.by_ref().take(2).for_each(drop);
    let copy = run.clone();
    const CLONED: &str = "a cloned run continues the same way";
    compare::close_tensors(CLONED, run.finish(), one.clone(), 0.0)?;
    compare::close_tensors(CLONED, copy.finish(), one, 0.0)
}

/// Checks that two threads that share a sampler get the samples that each would get alone.
///
/// # Errors
///
/// Returns the first violation.
pub fn repeats_on_threads<S: Sampler<2> + Sync>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "threads are independent";
    let data = data(0.5)?;
    let sample = |seed| {
        let noise = HostNoise::new(seed);
        let run = start(LAW, &data, sampler, schedule, (noise, [3, 12]), device)?;
        compare::values(LAW, run.finish())
    };
    let (one, two) = (sample(1)?, sample(2)?);
    thread::scope(|scope| {
        let threads = [1, 2, 1, 2].map(|seed| scope.spawn(move || (seed, sample(seed))));
        threads.into_iter().try_for_each(|thread| {
            let (seed, found) =
                thread.join().map_err(|_| Violation::new(LAW, "a panic", "samples"))?;
            compare::close(LAW, &found?, if seed == 1 { &one } else { &two }, 0.0)
        })
    })
}

/// Checks that sample i is the same in a batch of 4 and alone.
///
/// # Errors
///
/// Returns the first violation.
pub fn ignores_the_batch<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "sample i does not depend on the batch size";
    let data = data(0.5)?;
    let noise = HostNoise::new(3);
    let batch = start(LAW, &data, sampler, schedule, (noise.clone(), [4, 12]), device)?.finish();
    for i in 0..4 {
        let noise = noise.clone().starting_at(i as u64);
        let alone = start(LAW, &data, sampler, schedule, (noise, [1, 12]), device)?.finish();
        compare::close_tensors(LAW, alone, batch.clone().narrow(0, i, 1), 1e-5)?;
    }
    Ok(())
}
