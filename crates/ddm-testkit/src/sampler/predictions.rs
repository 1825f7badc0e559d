//! The results of a run: shapes, a perfect denoiser, the heads of one model, counts of calls.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{
    Denoiser, EpsilonPrediction, FlowPrediction, Model, Parameterization, ScorePrediction,
    VPrediction, X0Prediction, from_fn,
};
use ddm_samplers::{HostNoise, NoiseSource, Sampler, Sampling, SamplingError};
use ddm_schedule::{Levels, NoiseLevel, NoiseSchedule};

use super::{STEPS, data, start};
use crate::{ExactPredictor, GaussianPath, Violation, compare};

/// Checks that ranks 2 to 5 give the same finite numbers in another shape, and that x keeps its
/// float type.
///
/// # Errors
///
/// Returns the first violation.
pub fn works_at_every_rank<S>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation>
where
    S: Sampler<2> + Sampler<3> + Sampler<4> + Sampler<5>,
{
    const LAW: &str = "every rank gives the same samples";
    let data = data(0.5)?;
    let noise = || HostNoise::new(4);
    let flat = start(LAW, &data, sampler, schedule, (noise(), [3, 12]), device)?.finish();
    let rank_3 = start(LAW, &data, sampler, schedule, (noise(), [3, 4, 3]), device)?.finish();
    let rank_4 = start(LAW, &data, sampler, schedule, (noise(), [3, 3, 2, 2]), device)?.finish();
    let rank_5 = start(LAW, &data, sampler, schedule, (noise(), [3, 1, 3, 2, 2]), device)?.finish();
    let values = compare::values(LAW, flat)?;
    compare::close(LAW, &compare::values(LAW, rank_3)?, &values, 1e-5)?;
    compare::close(LAW, &compare::values(LAW, rank_4)?, &values, 1e-5)?;
    compare::close(LAW, &compare::values(LAW, rank_5)?, &values, 1e-5)?;
    let dtype = compare::finest_dtype(device);
    let x: Tensor<2> = noise().draw([3, 12], device).cast(dtype);
    let found = Sampling::new(&data, schedule).sampler(sampler).steps(STEPS).start_from(x);
    let found = found.map_err(|error| Violation::from_error(LAW, error))?.finish().dtype();
    let demanded = dtype.into();
    Violation::unless(found == demanded, LAW, || format!("{found:?}"), &format!("{demanded:?}"))
}

/// Checks that a run with the perfect denoiser of one x₀ ends at x₀ for any noise.
///
/// # Errors
///
/// Returns the first violation.
pub fn reaches_x0<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "a run with a perfect denoiser ends at its x0";
    let point = data(0.0)?;
    let run = start(LAW, &point, sampler, schedule, (HostNoise::new(6), [2, 12]), device)?;
    let demanded: Vec<f64> = (0..24).map(|j| point.mean(j)).collect();
    compare::close(LAW, &compare::values(LAW, run.finish())?, &demanded, 1e-5)
}

/// Checks that the ε-, x₀-, v-, score- and flow-heads of one exact model give the path of the
/// model.
///
/// # Errors
///
/// Returns the first violation.
pub fn heads_agree<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "the heads of one model give the same path";
    let data = data(0.5)?;
    let mut levels = GaussianPath::new(schedule)?.between(-3.0, 3.0).levels(STEPS)?.to_vec();
    levels.push(NoiseLevel { sigma: 0.0, ..schedule.level(0.0) });
    let levels = Levels::new(levels).map_err(|error| Violation::from_error(LAW, error))?;
    let path = |model: &dyn Denoiser<2>| -> Result<Vec<Tensor<2>>, SamplingError> {
        let sampling = Sampling::new(&model, schedule).sampler(sampler).levels(levels.clone());
        Ok(sampling.seed(7).start([2, 12], device)?.map(|frame| frame.x).collect())
    };
    let exact = path(&data).map_err(|error| Violation::from_error(LAW, error))?;
    let parameterizations: [&dyn Parameterization; 5] =
        [&EpsilonPrediction, &X0Prediction, &VPrediction, &ScorePrediction, &FlowPrediction];
    for parameterization in parameterizations {
        let head = ExactPredictor { denoiser: &data, parameterization, schedule };
        let found = path(&Model::new(head, parameterization));
        let found = found.map_err(|error| Violation::from_error(LAW, error))?;
        for (step, (found, demanded)) in found.into_iter().zip(&exact).enumerate() {
            compare::close_tensors(LAW, found, demanded.clone(), 1e-4).map_err(|violation| {
                let head = parameterization.name();
                let found = format!("{head} head, step {step}: {}", violation.found);
                Violation { found, ..violation }
            })?;
        }
    }
    Ok(())
}

/// Checks that a run has one frame per step, at its level, with the number of model calls so far,
/// at least one in total.
///
/// # Errors
///
/// Returns the first violation.
pub fn counts_evaluations<S: Sampler<2>>(
    sampler: &S,
    schedule: &dyn NoiseSchedule,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "model calls are counted correctly";
    let data = data(0.5)?;
    let calls = AtomicUsize::new(0);
    let counting = from_fn(|x: Tensor<2>, at: NoiseLevel| {
        calls.fetch_add(1, Ordering::Relaxed);
        data.denoise(x, at)
    });
    let run = Sampling::new(&counting, schedule).sampler(sampler).steps(STEPS);
    let mut run = run.start([2, 12], device).map_err(|error| Violation::from_error(LAW, error))?;
    // Calls of the check before the run are not counted.
    calls.store(0, Ordering::Relaxed);
    let levels = run.levels().clone();
    for (i, &level) in levels.iter().enumerate().skip(1) {
        let Some(frame) = run.next() else {
            return Err(Violation::new(LAW, format!("{} frames", i - 1), format!("{STEPS}")));
        };
        let (counted, left) = (calls.load(Ordering::Relaxed), run.len());
        Violation::unless(
            frame.evaluations == counted && frame.level == level && left == STEPS - i,
            LAW,
            || format!("{} calls at {:?} with {left} steps left", frame.evaluations, frame.level),
            &format!("{counted} calls at {level:?} with {} steps left", STEPS - i),
        )?;
    }
    let (calls, over) = (calls.load(Ordering::Relaxed), run.next().is_none());
    let found = || format!("{calls} calls; run finished after {STEPS} steps: {over}");
    Violation::unless(calls > 0 && over, LAW, found, "at least 1 call and a finished run")
}
