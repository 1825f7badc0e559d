//! Parameterizations, models and wrappers obey the laws.

use burn::tensor::{Device, FloatDType, Int, Tensor};
use ddm_denoiser::{
    ClassifierFree, Clipped, Condition, ConditionalPredictor, Conditioned, Consistent, Denoised,
    Denoiser, DynamicThreshold, EdmPrediction, EpsilonPrediction, FlowPrediction, Model,
    Parameterization, ScaledInput, ScorePrediction, VPrediction, X0Prediction, from_fn,
};
use ddm_schedule::{Cosine, NoiseLevel, NoiseSchedule};
use ddm_testkit::{ExactPredictor, Gaussian, compare, denoiser, parameterization};

use crate::{holds, schedules::schedules};

const PARAMETERIZATIONS: [&dyn Parameterization; 6] = [
    &EpsilonPrediction,
    &X0Prediction,
    &VPrediction,
    &ScorePrediction,
    &FlowPrediction,
    &ScaledInput(EpsilonPrediction),
];

#[test]
fn parameterizations_obey_the_laws() {
    for (name, schedule) in schedules() {
        for parameterization in PARAMETERIZATIONS {
            println!("{} on {name}", parameterization.name());
            holds(parameterization::all(parameterization, &schedule, &Device::flex()));
        }
    }
}

fn data() -> Gaussian {
    Gaussian::new([-0.4, 0.0, 0.4], 0.1).unwrap()
}

#[test]
fn models_obey_the_laws_at_every_rank() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let head =
        ExactPredictor { denoiser: data(), parameterization: VPrediction, schedule: &schedule };
    let model = Model::new(head, VPrediction);
    holds(denoiser::all::<2>(&model, &schedule, [4, 3], &device));
    holds(denoiser::all::<3>(&model, &schedule, [4, 2, 3], &device));
    holds(denoiser::all::<4>(&model, &schedule, [2, 2, 2, 3], &device));
    holds(denoiser::all::<5>(&model, &schedule, [2, 2, 1, 2, 3], &device));
    holds(denoiser::agree::<2>(&model, &data(), &schedule, [4, 3], &device));
}

#[test]
fn wrappers_that_change_nothing_change_nothing() {
    let (device, schedule, plain) = (Device::flex(), Cosine::default(), data());
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    let wrapped: [Box<dyn Denoiser<4>>; 5] = [
        Box::new(Clipped::new(plain.clone(), low, high).unwrap()),
        Box::new(Clipped::new(plain.clone(), -9.0, 9.0).unwrap()),
        // The data lies within ±1, where the threshold does not act.
        Box::new(DynamicThreshold::new(plain.clone(), 0.995, 1.0).unwrap()),
        Box::new(DynamicThreshold::new(plain.clone(), 1.0, high).unwrap()),
        Box::new(DynamicThreshold::new(&plain, 0.0, 2.0).unwrap()),
    ];
    for wrapped in wrapped {
        holds(denoiser::agree(&*wrapped, &plain, &schedule, [2, 2, 4, 3], &device));
        holds(denoiser::all(&*wrapped, &schedule, [2, 2, 4, 3], &device));
    }
    let network =
        ExactPredictor { denoiser: &plain, parameterization: VPrediction, schedule: &schedule };
    let model = Model::new(network, VPrediction);
    let cast = model.clone().network_dtype(FloatDType::F32);
    holds(denoiser::agree::<2>(&cast, &model, &schedule, [2, 3], &device));
}

#[test]
fn wrappers_do_what_they_say() {
    let (device, at) = (Device::flex(), NoiseLevel { timestep: 1.0, alpha: 0.8, sigma: 0.6 });
    let identity = from_fn(|x: Tensor<2>, _: NoiseLevel| x);
    let x = Tensor::<2>::from_floats([[-4.0, 0.5, 2.0, 1.0], [0.0, 0.1, 0.2, -0.8]], &device);
    let clipped = Clipped::new(&identity, -1.0, 1.5).unwrap().denoise(x.clone(), at);
    let expected = Tensor::from_floats([[-1.0, 0.5, 1.5, 1.0], [0.0, 0.1, 0.2, -0.8]], &device);
    holds(compare::close_tensors("clipped", clipped, expected, 1e-6));
    // |x| sorted: 0.5, 1, 2, 4; the quantile 0.5 is 1.5, which becomes 1. The other row stays.
    let threshold = DynamicThreshold::new(&identity, 0.5, 9.0).unwrap();
    let third = 1.0 / 1.5;
    let expected = [[-1.0, 0.5 * third, 1.0, third], [0.0, 0.1, 0.2, -0.8]];
    let expected = Tensor::from_floats(expected, &device);
    holds(compare::close_tensors("threshold", threshold.denoise(x, at), expected, 1e-6));
}

/// F = 0.3 x + c, c a class label.
struct Shifted;

impl<const D: usize> ConditionalPredictor<D> for Shifted {
    type Condition = Tensor<1, Int>;

    fn predict_with(&self, x: Tensor<D>, _: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<D> {
        let mut shape = [1; D];
        shape[0] = labels.batch();
        x * 0.3 + labels.float().reshape(shape)
    }
}

#[test]
fn guidance_is_the_network_where_it_should_be_and_the_formula_elsewhere() {
    let (device, schedule, shape) = (Device::flex(), Cosine::default(), [3, 2, 2]);
    let labels = |labels: [i64; 3]| Tensor::<1, Int>::from_data(labels, &device);
    let bound = |of| Model::new(Conditioned::new(Shifted, labels(of)), X0Prediction);
    let guided = |null, scale| {
        let model = Model::new(Shifted, X0Prediction);
        ClassifierFree::new(model, labels([1, 2, 3]), labels(null), scale).unwrap()
    };
    let agree = |found: &dyn Denoiser<3>, demanded: &dyn Denoiser<3>| {
        holds(denoiser::agree(found, demanded, &schedule, shape, &device));
    };
    agree(&guided([0, 0, 0], 1.0), &bound([1, 2, 3])); // the condition alone
    agree(&guided([4, 5, 6], 0.0), &bound([4, 5, 6])); // no condition
    agree(&guided([1, 2, 3], 7.5), &bound([1, 2, 3])); // both the same
    agree(&guided([0, 1, 1], 3.0), &bound([3, 4, 7])); // null + 3 (condition - null)
    holds(denoiser::keeps_shape(&guided([0, 0, 0], 2.0), &schedule, shape, &device));
}

#[test]
fn learned_variance_goes_through_wrappers() {
    #[derive(Clone)]
    struct Learned;
    impl<const D: usize> Denoiser<D> for Learned {
        fn predict_x0(&self, x: Tensor<D>, _: &[NoiseLevel]) -> Denoised<D> {
            Denoised { variance: Some(x.full_like(0.25)), x0: x * 0.1 }
        }
    }
    let (device, schedule) = (Device::flex(), Cosine::default());
    let clipped = Clipped::new(Learned, -9.0, 9.0).unwrap();
    holds(denoiser::agree::<2>(&clipped, &Learned, &schedule, [2, 3], &device));
    let threshold = DynamicThreshold::new(Learned, 0.9, 9.0).unwrap();
    holds(denoiser::agree::<2>(&threshold, &Learned, &schedule, [2, 3], &device));
    holds(denoiser::agree::<2>(&&Learned, &Learned, &schedule, [2, 3], &device));
    let consistent = Consistent::new(Learned)
        .predict_x0(Tensor::<2>::ones([2, 3], &device), &[schedule.level(0.5)]);
    assert!(consistent.variance.is_some());
    // Twice the channels, of which the first half is told t.
    let network = from_fn(|x: Tensor<2>, t: Tensor<1>| {
        let told = x.clone() + t.unsqueeze_dim(1) * 1e-3;
        Tensor::cat(vec![told, x], 1)
    });
    let model = Model::new(network, EdmPrediction::default()).learned_variance();
    holds(denoiser::levels_are_apart(&model, &schedule, [6, 3], &device));
}
