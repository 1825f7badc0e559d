//! Bad input is refused before anything runs, and the error names the value.

use std::fmt::Display;

use burn::tensor::{Device, Int, Tensor};
use ddm_denoiser::{
    ClassifierFree, Clipped, ConditionalPredictor, Conditioned, Denoiser, DynamicThreshold,
    EpsilonPrediction, Model, NoisePredictor, ScorePrediction, VPrediction, from_fn,
};
use ddm_samplers::{Ddim, Sampling};
use ddm_schedule::{
    BetaTable, Cosine, Grid, Leading, Levels, LinearVp, Linspace, NoiseLevel, NoiseSchedule,
    RectifiedFlow, Trailing,
};

#[track_caller]
pub(crate) fn says<T, E: Display>(result: Result<T, E>, parts: &[&str]) {
    let Err(error) = result else { panic!("nothing was refused; {parts:?} should be") };
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "\"{message}\" does not say {part}");
    }
}

#[test]
fn schedules() {
    says(BetaTable::new([]), &["empty", "at least 1"]);
    says(BetaTable::linear(0, 1e-4, 0.02), &["empty"]);
    says(BetaTable::cosine(0), &["empty"]);
    says(BetaTable::new([0.1, 1.5]), &["beta[1]", "1.5"]);
    says(BetaTable::new([f64::NAN]), &["beta[0]", "NaN"]);
    says(BetaTable::new([0.1, 0.2, 0.0]), &["beta[2] = 0"]);
    says(BetaTable::new([1.0, 0.5]), &["beta[0] = 1"]);
    says(BetaTable::new([-0.5]), &["-0.5"]);
    says(BetaTable::linear(10, 0.1, 2.0), &["beta end is 2"]);
    says(BetaTable::linear(10, f64::INFINITY, 0.1), &["beta start is inf"]);
    says(BetaTable::scaled_linear(10, -0.1, 0.1), &["beta start", "-0.1"]);
    says(BetaTable::scaled_linear(10, 0.1, f64::NAN), &["beta end", "NaN"]);
    says(Cosine::new(-0.1), &["s is -0.1"]);
    says(Cosine::new(f64::INFINITY), &["s is inf"]);
    says(LinearVp::new(-1.0, 20.0), &["beta_min is -1"]);
    says(LinearVp::new(0.1, 0.0), &["beta_max is 0"]);
    says(LinearVp::new(0.1, f64::NAN), &["beta_max is NaN"]);
}

#[test]
fn grids_and_levels() {
    let table = BetaTable::cosine(10).unwrap();
    for grid in [&Trailing as &dyn Grid, &Leading { offset: 0 }, &Linspace] {
        says(grid.levels(&table, 0), &["0 steps"]);
        says(grid.levels(&table, 11), &["11 steps", "10"]);
        says(grid.levels(&Cosine::default(), 0), &["0 steps"]);
    }
    says(Leading { offset: 1 }.levels(&table, 10), &["timestep 10", "0 to 9"]);
    says(Leading { offset: 5000 }.levels(&Cosine::default(), 10), &["5900"]);
    let cosine = Cosine::default();
    says(Levels::at_times(&cosine, [0.5, 0.9]), &["level 0", "falling"]);
    says(Levels::at_times(&cosine, [0.5, 0.5]), &["falling"]);
    says(Levels::at_times(&cosine, [0.5, 0.0, 0.0]), &["level 1"]);
    says(Levels::at_times(&cosine, [1.5]), &["time 1.5"]);
    says(Levels::at_times(&cosine, [f64::NAN]), &["time NaN"]);
    says(Levels::at_times(&cosine, []), &["2 levels", "1 given"]);
    says(Levels::at_timesteps(&table, [10.0]), &["timestep 10", "0 to 9"]);
    says(Levels::at_timesteps(&table, [f64::NAN]), &["timestep NaN"]);
    let level = |alpha, sigma| NoiseLevel { timestep: 0.0, alpha, sigma };
    says(Levels::new(vec![]), &["0 given"]);
    says(Levels::new(vec![level(f64::NAN, 1.0), NoiseLevel::DATA]), &["level 0", "NaN"]);
    says(Levels::new(vec![level(0.6, 0.8), level(0.0, 0.0)]), &["level 1"]);
    says(Levels::new(vec![level(0.6, -0.8), NoiseLevel::DATA]), &["-0.8"]);
}

#[test]
fn samplers() {
    says(Ddim::new(-1.0), &["eta is -1", "[0, 1]"]);
    says(Ddim::new(1.5), &["eta is 1.5"]);
    says(Ddim::new(f64::NAN), &["eta is NaN"]);
}

#[test]
fn wrappers() {
    says(Clipped::new((), 1.0, -1.0), &["clipping", "1"]);
    says(Clipped::new((), f64::NAN, 1.0), &["NaN"]);
    says(DynamicThreshold::new((), 1.5, 2.0), &["quantile", "1.5"]);
    says(DynamicThreshold::new((), f64::NAN, 2.0), &["NaN"]);
    says(DynamicThreshold::new((), 0.9, 0.5), &["0.5", "at least 1"]);
    let labels = Tensor::<1, Int>::zeros([3], &Device::flex());
    let free = |null: Tensor<1, Int>, scale| ClassifierFree::new((), labels.clone(), null, scale);
    says(free(labels.clone(), f64::NAN), &["guidance scale", "NaN"]);
    says(free(labels.clone(), f64::INFINITY), &["inf"]);
    says(free(labels.clone().narrow(0, 0, 2), 2.0), &["null condition", "2", "3"]);
}

struct Labelled;

impl<const D: usize> ConditionalPredictor<D> for Labelled {
    type Condition = Tensor<1, Int>;

    fn predict_with(&self, x: Tensor<D>, _: Tensor<1>, _: Tensor<1, Int>) -> Tensor<D> {
        x
    }
}

fn network() -> impl NoisePredictor<2> {
    from_fn(|x: Tensor<2>, _: Tensor<1>| x)
}

#[test]
fn runs() {
    let (device, cosine, table) = (Device::flex(), Cosine::default(), BetaTable::default());
    let model = Model::new(network(), VPrediction);
    let start = |schedule: &dyn NoiseSchedule, steps, shape| {
        Sampling::new(&model, schedule).steps(steps).start(shape, &device).map(drop)
    };
    assert_eq!(start(&table, 10, [1, 2]), Ok(()));
    says(start(&table, 0, [1, 2]), &["0 steps"]);
    says(start(&table, 1001, [1, 2]), &["1001 steps", "1000"]);
    says(start(&table, 10, [0, 2]), &["[0, 2]"]);

    // Zero terminal SNR: noise says nothing about x0.
    let epsilon = Model::new(network(), EpsilonPrediction);
    for schedule in [&cosine as &dyn NoiseSchedule, &RectifiedFlow] {
        let run = Sampling::new(&epsilon, schedule).start([1, 2], &device);
        says(run.map(drop), &["alpha = 0", "epsilon", "predict v"]);
        let score = Model::new(network(), ScorePrediction);
        says(Sampling::new(&score, schedule).start([1, 2], &device).map(drop), &["score"]);
        let levels = Levels::at_times(&schedule, [0.99, 0.5]).unwrap();
        assert!(Sampling::new(&epsilon, schedule).levels(levels).start([1, 2], &device).is_ok());
    }
    // Wrappers ask what they wrap.
    let clipped = Clipped::new(&epsilon, -1.0, 1.0).unwrap();
    let wrapped = DynamicThreshold::new(clipped, 0.9, 1.0).unwrap();
    says(Sampling::new(&wrapped, &cosine).start([1, 2], &device).map(drop), &["epsilon"]);

    let labels = Tensor::<1, Int>::zeros([3], &device);
    let bound = Model::new(Conditioned::new(Labelled, labels.clone()), VPrediction);
    let run = |batch| Sampling::new(&bound, &cosine).start([batch, 2], &device).map(drop);
    assert_eq!(run(3), Ok(()));
    says(run(4), &["condition", "3 samples", "4 samples"]);
    let model = Model::new(Labelled, VPrediction);
    let guided = ClassifierFree::new(model, labels.clone(), labels, 2.0).unwrap();
    says(Sampling::new(&guided, &cosine).start([2, 2], &device).map(drop), &["3 samples"]);
}

/// A prediction of another shape would broadcast in silence, or be a panic in the middle of a run.
#[test]
fn predictions_of_another_shape() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let start = |model: &dyn Denoiser<2>| {
        Sampling::new(model, &schedule).steps(4).start([32, 2], &device).map(drop)
    };
    let one = from_fn(|x: Tensor<2>, _: Tensor<1>| x.narrow(0, 0, 1));
    says(start(&Model::new(one, VPrediction)), &["prediction", "[1, 2]", "[32, 2]"]);
    let wide = || from_fn(|x: Tensor<2>, _: Tensor<1>| Tensor::cat(vec![x.clone(), x], 1));
    says(start(&Model::new(wide(), VPrediction)), &["prediction", "[32, 4]", "[32, 2]"]);
    let learned = Model::new(wide(), VPrediction).learned_variance();
    assert_eq!(start(&learned), Ok(()));
    let narrow = Model::new(network(), VPrediction).learned_variance();
    says(start(&narrow), &["prediction", "[32, 2]", "[32, 4]"]);
    let sum = from_fn(|x: Tensor<2>, _: NoiseLevel| x.sum_dim(1));
    says(start(&sum), &["prediction", "[32, 1]", "[32, 2]"]);
    // A declared shape saves the trial call.
    struct Declared;
    impl NoisePredictor<2> for Declared {
        fn predict(&self, _: Tensor<2>, _: Tensor<1>) -> Tensor<2> {
            panic!("called before the first step")
        }
        fn output_shape(&self, [batch, channels]: [usize; 2]) -> Option<[usize; 2]> {
            Some([batch, 2 * channels])
        }
    }
    says(start(&Model::new(Declared, VPrediction)), &["[32, 4]"]);
    assert_eq!(start(&Model::new(Declared, VPrediction).learned_variance()), Ok(()));
}
