//! One code path: the same training and sampling on every backend of the machine.
//!
//! The environment variable `DDM_TEST_DEVICES` names the devices, separated by commas (default:
//! `flex`), so that a missing driver is a failure and not a silent gap.

use ddm_core::burn::module::Module;
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::denoiser::{ClassifierGuided, DynamicThreshold, GaussianLikelihood, Reconstruction};
use ddm_core::models::UNet;
use ddm_core::prelude::*;
use ddm_core::schedule::LinearVp;
use ddm_core::score::{Likelihood, ProbabilityFlow, Probe};
use ddm_core::train::{ConditionDropout, MinSnr};
use ddm_examples::device::parse_device;
use ddm_examples::tensors::numbers;
use ddm_testkit::GaussianMixture;

fn devices() -> Vec<(String, Device)> {
    let names = std::env::var("DDM_TEST_DEVICES").unwrap_or_else(|_| "flex".into());
    names
        .split(',')
        .map(|name| (name.to_owned(), parse_device(name).unwrap_or_else(|e| panic!("{e}"))))
        .collect()
}

fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    let size = expected.iter().fold(1e-6, |size: f32, x| size.max(x.abs()));
    let off = found.iter().zip(expected).fold(0.0, |off: f32, (x, y)| off.max((x - y).abs()));
    assert_eq!(found.len(), expected.len(), "{what}");
    assert!(off <= tolerance * size, "{what}: off by {off} of {size}");
}

/// The same weights and the same seed give the same samples everywhere, conditions, guidance,
/// clipping and noise included.
#[test]
fn samples_agree_between_backends() {
    let reference = Device::flex();
    reference.seed(3);
    let config = UNetConfig::new(1, 1).with_channels(vec![8, 16]).with_head_size(Some(8));
    let network = config.with_classes(Some(3)).init(&reference).unwrap();
    // The last layer starts at 0: a little training makes the predictions comparable.
    let network = few_steps(network, &reference).0;
    let paint = |device: &Device| {
        let network = network.clone().to_device(device);
        let labels = Tensor::<1, Int>::from_data([0, 1, 2], device);
        let null = network.null_classes(3, device);
        let inner = Model::new(&network, VPrediction);
        let guided = ClassifierFree::new(inner, labels.into(), null, 3.0).unwrap();
        let model = DynamicThreshold::new(guided, 0.9, 1.5).unwrap();
        let schedule = Cosine::default();
        let sampling = Sampling::new(&model, &schedule).sampler(Ddim::new(0.5).unwrap());
        numbers(sampling.steps(6).seed(1).sample([3, 1, 8, 8], device).unwrap())
    };
    let expected = paint(&reference);
    for (name, device) in devices() {
        close(&paint(&device), &expected, 2e-3, &name);
    }
}

/// The laws of samplers and denoisers, as in the testkit, on every backend.
#[test]
fn laws_hold_on_every_backend() {
    for (name, device) in devices() {
        let holds = |law: Result<(), ddm_testkit::Violation>| {
            law.unwrap_or_else(|violation| panic!("{name}: {violation}"));
        };
        let schedule = Cosine::default();
        holds(ddm_testkit::sampler::all(&Ddim::default(), &schedule, &device));
        holds(ddm_testkit::sampler::all(&Ddpm::default(), &schedule, &device));
        holds(ddm_testkit::sampler::all(&DpmSolverPp::default(), &schedule, &device));
        holds(ddm_testkit::order::has_order(&Ddim::default(), 1.0, &schedule, &device));
    }
}

/// Functions with gradients of the model give the same everywhere: guidance by a classifier and by an
/// observation, and the flow's log-densities; and the flow itself.
#[test]
fn gradients_agree_between_backends() {
    let means = [vec![-1.0, 0.2], vec![0.8, -0.5]];
    let data = GaussianMixture::new(means, [0.3, 0.4], [1.0, 2.0]).unwrap();
    let data = data.with_classes([0, 1]).unwrap();
    let schedule = LinearVp::default();
    let answers = |device: &Device| {
        let flow = ProbabilityFlow::new(&data, &schedule).tolerance(1e-4).unwrap();
        let [_, least] = flow.ends();
        let x = Tensor::<2>::from_floats([[0.5, 0.1], [-0.9, 0.3]], device);
        let mut answers = numbers(flow.encode(x.clone()).unwrap().x);
        let likelihood = Likelihood::new(flow).probe(Probe::Exact);
        let found = likelihood.log_density(x.clone(), least).unwrap();
        answers.extend(found.log_density.iter().map(|&ln_p| ln_p as f32));
        let classifier = from_fn(|x: Tensor<2>, at: NoiseLevel| data.log_probability(x, at, 1));
        let guided = ClassifierGuided::new(&data, classifier, 1.0).unwrap();
        let samples = Sampling::new(&guided, &schedule).steps(10).seed(1);
        answers.extend(numbers(samples.sample([2, 2], device).unwrap()));
        let sum = from_fn(|x0: Tensor<2>| x0.sum_dim(1));
        let observed = Tensor::<2>::full([1, 1], 0.3, device);
        let by_sight = GaussianLikelihood::new(0.1).unwrap();
        let guided = Reconstruction::new(&data, sum, observed, by_sight).unwrap();
        answers.extend(numbers(guided.denoise(x, schedule.level(0.4))));
        answers
    };
    let expected = answers(&Device::flex());
    assert!(expected.iter().all(|value| value.is_finite()), "{expected:?}");
    for (name, device) in devices() {
        close(&answers(&device), &expected, 2e-3, &name);
    }
}

/// A few training steps learn, and learn the same on every backend.
#[test]
fn training_agrees_between_backends() {
    let reference = Device::flex();
    reference.seed(4);
    let config = UNetConfig::new(1, 1).with_channels(vec![8, 16]).with_head_size(Some(8));
    let network = config.with_classes(Some(3)).init(&reference).unwrap();
    let (_, expected) = few_steps(network.clone(), &reference);
    assert!(expected.last() < expected.first(), "{expected:?}");
    for (name, device) in devices() {
        let (_, losses) = few_steps(network.clone(), &device);
        close(&losses, &expected, 1e-2, &name);
    }
}

/// Thirty steps of the objective with condition dropout; the network and its losses.
fn few_steps(network: UNet, device: &Device) -> (UNet, Vec<f32>) {
    let device = device.clone().autodiff();
    let network = network.to_device(&device).train();
    let schedule = BetaTable::cosine(100).unwrap();
    let objective = Objective::new(&schedule, VPrediction).unwrap().weighting(MinSnr::default());
    let dropout = ConditionDropout::new(0.2).unwrap();
    let null = network.null_classes(6, &device);
    let labels = Tensor::<1, Int>::from_data([0, 1, 2, 0, 1, 2], &device);
    let images = labels.clone().float().reshape([6, 1, 1, 1]).expand([6, 1, 8, 8]) - 1.0;
    let training = Training { steps: 30, ema_decay: 0.9, seed: 2 };
    let trained = training
        .run(network, AdamWConfig::new().init(), 3e-3, |network, noise| {
            let labels = dropout.apply(labels.clone().into(), null.clone(), noise)?;
            objective.loss_with(network, images.clone(), labels, noise)
        })
        .unwrap();
    (trained.average, trained.losses.iter().map(|&(_, loss)| loss as f32).collect())
}
