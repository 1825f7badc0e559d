//! A run owns what it is given, and goes wherever it is sent.

use std::sync::{Arc, Mutex};
use std::thread;

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{Denoiser, Model, VPrediction, from_fn};
use ddm_samplers::{BoxedSampler, Ddim, DpmSolverPp, HostNoise, Prior, Run, Sampling};
use ddm_schedule::{BetaTable, Cosine, Levels, NoiseLevel, NoiseSchedule};
use ddm_testkit::{Gaussian, compare, moments};

use crate::{holds, refused::says};

/// A run that names no lifetime: one that a server may hold.
type Owned = Run<'static, 2, Arc<dyn Denoiser<2>>, BoxedSampler<2>, HostNoise>;

fn model() -> Arc<dyn Denoiser<2>> {
    let network = from_fn(|x: Tensor<2>, t: Tensor<1>| x * 0.3 + t.unsqueeze_dim(1) * 1e-3);
    Arc::new(Model::new(network, VPrediction))
}

fn run(model: &Arc<dyn Denoiser<2>>, seed: u64) -> Owned {
    let schedule: Arc<dyn NoiseSchedule> = Arc::new(Cosine::default());
    let sampler = BoxedSampler::new(DpmSolverPp::sde(2, 1.0).unwrap());
    let sampling = Sampling::new(model.clone(), schedule).sampler(sampler).steps(12).seed(seed);
    sampling.start([3, 4], &Device::flex()).unwrap()
}

/// 8 runs of one model on 4 threads, begun here, taken in turns by whichever thread is free.
#[test]
fn runs_share_a_model_between_threads() {
    let model = model();
    let alone: Vec<_> = (0..8).map(|seed| run(&model, seed).finish()).collect();
    let waiting: Mutex<Vec<(usize, Owned)>> =
        Mutex::new((0..8).map(|seed| (seed, run(&model, seed as u64))).collect());
    let finished = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((seed, mut run)) = waiting.lock().unwrap().pop() else { break };
                    match run.by_ref().take(5).last() {
                        Some(_) if run.len() > 0 => waiting.lock().unwrap().insert(0, (seed, run)),
                        _ => finished.lock().unwrap().push((seed, run.finish())),
                    }
                }
            });
        }
    });
    let finished = finished.into_inner().unwrap();
    assert_eq!(finished.len(), 8);
    for (seed, found) in finished {
        holds(compare::close_tensors("threads are independent", found, alone[seed].clone(), 0.0));
    }
}

#[test]
fn values_references_and_arcs_are_one() {
    let (device, data) = (Device::flex(), Gaussian::new([0.3], 0.5).unwrap());
    let table = BetaTable::default();
    let by_value = Sampling::new(data.clone(), table.clone()).steps(5).sample([2, 3], &device);
    let by_reference = Sampling::new(&data, &table).steps(5).sample([2, 3], &device);
    let by_arc = Sampling::new(Arc::new(data.clone()), Arc::new(table.clone()));
    let (value, arc) = (by_value.unwrap(), by_arc.steps(5).sample([2, 3], &device).unwrap());
    let law = "one run, whoever owns it";
    holds(compare::close_tensors(law, by_reference.unwrap(), value.clone(), 0.0));
    holds(compare::close_tensors(law, arc, value, 0.0));
}

#[test]
fn levels_and_a_grid_do_not_go_together() {
    let (device, data) = (Device::flex(), Gaussian::new([0.3], 0.5).unwrap());
    let table = BetaTable::default();
    let levels = || Levels::at_timesteps(&table, [900.0, 500.0, 100.0]).unwrap();
    let sampling = || Sampling::new(&data, &table).levels(levels());
    assert!(sampling().sample([1, 1], &device).is_ok());
    assert!(sampling().steps(3).sample([1, 1], &device).is_ok());
    says(sampling().steps(4).sample([1, 1], &device), &["3 steps", "steps(4)"]);
    let gridded = sampling().grid(ddm_schedule::Linspace);
    says(gridded.sample([1, 1], &device), &["3 steps", "a grid"]);
}

/// Latents of mean 3 and std 2 on a schedule that leaves signal at its end: with their prior the
/// samples have their moments, and with the default they do not.
#[test]
fn a_prior_starts_the_run_where_the_data_is() {
    let (device, data) = (Device::flex(), Gaussian::new([3.0], 2.0).unwrap());
    let at = |t: f64| NoiseLevel { timestep: t, alpha: 1.0 - 0.5 * t, sigma: 0.5 * t };
    let levels = (0..=40).rev().map(|i| at(f64::from(i) / 40.0)).collect();
    let levels = Levels::new(levels).unwrap();
    let moments = |prior| {
        let run = Sampling::new(&data, Cosine::default()).sampler(Ddim::EULER).prior(prior);
        let run = run.levels(levels.clone()).seed(1).sample([20_000, 1], &device).unwrap();
        moments::of(&compare::values("x", run).unwrap())
    };
    let found = moments(Prior::new(3.0, 2.0).unwrap());
    assert!((found.mean - 3.0).abs() < 0.06 && (found.variance - 4.0).abs() < 0.2, "{found:?}");
    let found = moments(Prior::default());
    assert!((found.mean - 3.0).abs() > 0.5, "{found:?}");
    says(Prior::new(0.0, f64::NAN), &["std", "NaN"]);
}
