//! Guidance by gradients: with a perfect classifier it is the class, and with an observation of
//! Gaussian data the posterior.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{
    ClassifierGuided, Denoiser, GaussianLikelihood, Interval, Model, ModelError,
    NormalizedLikelihood, Reconstruction, X0Prediction, from_fn, gradient, sum_each,
};
use ddm_samplers::{Ddim, HostNoise, NoiseSource, Sampling};
use ddm_schedule::{Cosine, Levels, NoiseLevel, NoiseSchedule};
use ddm_testkit::{Gaussian, GaussianMixture, compare, denoiser};

use crate::guidance::{classes, levels, off, same};
use crate::{holds, refused::says};

/// The perfect classifier of [`classes`].
fn is_of(class: usize) -> impl ddm_denoiser::Classifier<2> + Clone {
    let data = classes();
    from_fn(move |x: Tensor<2>, at: NoiseLevel| data.log_probability(x, at, class))
}

#[test]
fn a_perfect_classifier_gives_the_model_of_its_class() {
    for class in [0, 1] {
        let guided = ClassifierGuided::new(classes(), is_of(class), 1.0).unwrap();
        let demanded = classes().of_class(class).unwrap();
        for (at, x) in levels() {
            let (found, exact) = (guided.denoise(x.clone(), at), demanded.denoise(x.clone(), at));
            let single = |x: Tensor<2>| x.cast(burn::tensor::FloatDType::F32);
            let in_single = guided.denoise(single(x), at);
            println!(
                "class {class}, sigma = {:.3}: off by {:.1e} in f64, {:.1e} in f32",
                at.sigma,
                off(&found, &exact),
                off(&in_single, &single(exact.clone()))
            );
            holds(compare::close_tensors(
                "the class, in f32",
                in_single,
                single(exact.clone()),
                1e-5,
            ));
            holds(compare::close_tensors("the class", found, exact, 1e-9));
        }
    }
}

#[test]
fn identity_settings_change_nothing() {
    let device = Device::flex();
    let silent = from_fn(|_: Tensor<2>, _: NoiseLevel| -> Tensor<1> { panic!("asked") });
    let unguided = ClassifierGuided::new(classes(), silent, 0.0).unwrap();
    same(&unguided, &classes(), [6, 2]);
    let blind = from_fn(|_: Tensor<2>| -> Tensor<2> { panic!("asked") });
    let y = Tensor::<2>::zeros([6, 1], &device);
    let likelihood = GaussianLikelihood::new(0.1).unwrap();
    let unguided = Reconstruction::new(classes(), blind, y, likelihood).unwrap();
    same(&unguided.scale(0.0).unwrap(), &classes(), [6, 2]);
    // A learned variance goes through.
    let network = from_fn(|x: Tensor<2>, _: Tensor<1>| Tensor::cat(vec![x.clone(), x * 0.1], 1));
    let learned = Model::new(network, X0Prediction).learned_variance();
    let at = Cosine::default().level(0.5);
    let x: Tensor<2> = HostNoise::new(1).draw([6, 2], &device);
    let v = |model: &dyn Denoiser<2>| {
        model.predict_x0(x.clone(), &[at]).variance.map(Tensor::into_data)
    };
    let sum = from_fn(|x: Tensor<2>, _: NoiseLevel| sum_each(x));
    let by_class = ClassifierGuided::new(&learned, sum, 1.0).unwrap();
    let all = from_fn(|x0: Tensor<2>| x0);
    let y = Tensor::<2>::ones([1, 2], &device);
    let by_sight = Reconstruction::new(&learned, all, y, likelihood).unwrap();
    assert!(v(&learned).is_some());
    assert_eq!((v(&by_class), v(&by_sight)), (v(&learned), v(&learned)));
}

/// Data N(μ, s² I) of rank 3, `[batch, 2, 3]`, and how its pieces are known exactly.
const STD: f64 = 0.7;
const SHAPE: [usize; 3] = [4, 2, 3];

fn gaussian() -> Gaussian {
    Gaussian::new([0.3, -0.5, 0.1, 0.8, -0.2, 0.0], STD).unwrap()
}

/// A level, x there in f32 or f64, and E[x₀ | x].
fn seen(double: bool) -> impl Iterator<Item = (NoiseLevel, Tensor<3>, Tensor<3>)> {
    let mut noise = HostNoise::new(8);
    [0.95, 0.6, 0.3, 0.05].into_iter().map(move |t| {
        let at = Cosine::default().level(t);
        let x: Tensor<3> = noise.draw(SHAPE, &Device::flex());
        let x = if double { x.cast(burn::tensor::FloatDType::F64) } else { x };
        (at, x.clone(), gaussian().denoise(x, at))
    })
}

/// The variance of x₀ given x, from the sum of the precisions.
fn remaining(at: NoiseLevel) -> f64 {
    1.0 / (1.0 / STD.powi(2) + (at.alpha / at.sigma).powi(2))
}

#[test]
fn a_mask_of_gaussian_data_gives_the_posterior() {
    let device = Device::flex();
    let mask = Tensor::<3>::from_floats([[[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]], &device);
    let y: Tensor<3> = HostNoise::new(9).draw(SHAPE, &device) * mask.clone();
    for (double, tolerance) in [(false, 1e-5), (true, 1e-9)] {
        for std in [0.0, 0.05, 0.8] {
            let mask_in = move |like: &Tensor<3>, mask: &Tensor<3>| mask.clone().cast(like.dtype());
            let shown = mask.clone();
            let operator = from_fn(move |x0: Tensor<3>| {
                let mask = mask_in(&x0, &shown);
                x0 * mask
            });
            let likelihood = GaussianLikelihood::new(std).unwrap().data_std(STD).unwrap();
            let guided = Reconstruction::new(gaussian(), operator, y.clone(), likelihood).unwrap();
            let mut worst = 0.0_f64;
            for (at, x, x0) in seen(double) {
                // Element by element: two Gaussians for x₀, of variances r² and s_y².
                let believed = remaining(at) / (remaining(at) + std * std);
                let mask = mask_in(&x, &mask);
                let innovation = (y.clone().cast(x.dtype()) - x0.clone()) * mask;
                let demanded = x0 + innovation * believed;
                let found = guided.denoise(x, at);
                let apart = (found.clone() - demanded.clone()).abs().max().into_scalar::<f64>();
                worst = worst.max(apart);
                holds(compare::close_tensors("E[x0 | x, y]", found, demanded, tolerance));
            }
            println!("mask, s_y = {std}, f64: {double}: off by {worst:.1e}");
        }
    }
}

#[test]
fn means_of_pairs_of_gaussian_data_give_the_posterior() {
    let device = Device::flex();
    // y of rank 2: the mean of the two rows, element by element.
    let mean = from_fn(|x0: Tensor<3>| x0.mean_dim(1).squeeze_dim::<2>(1));
    let y = Tensor::<2>::from_floats([[0.4, -0.3, 1.0]], &device); // one for all samples
    for std in [0.0, 0.3] {
        let likelihood = GaussianLikelihood::new(std).unwrap().data_std(STD).unwrap();
        let likelihood = likelihood.stretch(0.5_f64.sqrt()).unwrap();
        let guided = Reconstruction::new(gaussian(), mean, y.clone(), likelihood).unwrap();
        for (at, x, x0) in seen(true) {
            // The mean of two has variance r²/2, and their difference is not seen.
            let half = remaining(at) / 2.0;
            let y = y.clone().cast(x.dtype()).unsqueeze_dim::<3>(1);
            let innovation = y - x0.clone().mean_dim(1);
            let demanded = x0 + innovation * (half / (half + std * std));
            let found = guided.denoise(x, at);
            holds(compare::close_tensors("E[x0 | x, y]", found, demanded, 1e-9));
        }
    }
}

#[test]
fn the_published_forms_are_the_gaussian_one() {
    let device = Device::flex();
    let data = GaussianMixture::new([vec![-1.0, 0.0], vec![1.0, 0.5]], [0.3, 0.6], [1.0, 2.0]);
    let data = data.unwrap();
    // Not linear: no closed form, but the gradients of the papers.
    let operator = from_fn(|x0: Tensor<2>| x0.square().sum_dim(1));
    let y = Tensor::<2>::from_floats([[0.7]], &device);
    let guided = |likelihood| Reconstruction::new(&data, operator, y.clone(), likelihood).unwrap();
    let published = |x: &Tensor<2>, at: NoiseLevel, of: &dyn Fn(Tensor<1>) -> Tensor<1>| {
        let misfit = |x| {
            let x0 = data.denoise(x, at);
            of(sum_each((y.clone().cast(x0.dtype()) - x0.square().sum_dim(1)).square()))
        };
        gradient(x.clone(), misfit).1.unwrap()
    };
    for (at, x) in levels() {
        let x0 = data.denoise(x.clone(), at);
        let squared = published(&x, at, &|misfit| misfit);
        // Video diffusion: x̂₀ − w_r α/2 ∇‖y − A(x̂₀)‖².
        let likelihood = GaussianLikelihood::new(0.0).unwrap().data_std(f64::INFINITY).unwrap();
        let found = guided(likelihood).scale(1.7).unwrap().denoise(x.clone(), at);
        let demanded = x0.clone() - squared.clone() * (1.7 * at.alpha / 2.0);
        holds(compare::close_tensors("reconstruction guidance", found, demanded, 1e-9));
        // DPS, eq. 16: the score − ρ ∇‖y − A(x̂₀)‖².
        let shift = at.sigma.powi(2) / at.alpha;
        let likelihood = GaussianLikelihood::new(0.4).unwrap().data_std(0.0).unwrap();
        let found = guided(likelihood).denoise(x.clone(), at);
        let demanded = x0.clone() - squared.clone() * (shift / (2.0 * 0.16));
        holds(compare::close_tensors("DPS, eq. 16", found, demanded, 1e-9));
        // DPS, alg. 1: ρ = ζ'/‖y − A(x̂₀)‖.
        let norm = (y.clone().cast(x.dtype()) - x0.clone().square().sum_dim(1)).abs();
        let found = Reconstruction::new(&data, operator, y.clone(), NormalizedLikelihood).unwrap();
        let found = found.scale(0.3).unwrap().denoise(x.clone(), at);
        let demanded = x0 - squared / norm * (0.3 * shift);
        holds(compare::close_tensors("DPS, alg. 1", found, demanded, 1e-9));
    }
    // What is seen already is not moved, and stays finite.
    let point = Gaussian::new([0.5], 0.0).unwrap();
    let same = from_fn(|x0: Tensor<2>| x0 * 1.0);
    let y = Tensor::<2>::full([1, 2], 0.5, &device);
    let found = Reconstruction::new(point.clone(), same, y, NormalizedLikelihood).unwrap();
    let (at, x) = levels().next().unwrap();
    let x = x + 0.0;
    holds(compare::close_tensors(
        "no misfit",
        found.denoise(x.clone(), at),
        point.denoise(x, at),
        0.0,
    ));
}

#[test]
fn runs_sample_the_posterior() {
    // x₀ ~ N(0, 1) in two dimensions, the first seen as 0.8 with std 0.5.
    let (device, schedule) = (Device::flex(), Cosine::default());
    let normal = Gaussian::new([0.0], 1.0).unwrap();
    let first = from_fn(|x0: Tensor<2>| x0.narrow(1, 0, 1));
    let y = Tensor::<2>::full([1, 1], 0.8, &device);
    let likelihood = GaussianLikelihood::new(0.5).unwrap();
    let guided = Reconstruction::new(normal, first, y, likelihood).unwrap();
    let levels = Levels::at_times(&schedule, (0..100).map(|i| 0.995 - 0.00995 * f64::from(i)));
    let run = Sampling::new(&guided, &schedule).sampler(Ddim::EULER).levels(levels.unwrap());
    let samples = run.sample([4000, 2], &device).unwrap();
    let (variance, mean) = samples.var_mean(0);
    let mean = compare::values("mean", mean).unwrap();
    let std: Vec<f64> = compare::values("std", variance.sqrt()).unwrap();
    println!("mean {mean:?}, std {std:?}");
    // Precisions 1 and 4: mean 0.8 · 4/5, std 1/√5; the other dimension stays N(0, 1).
    holds(compare::close("the posterior's mean", &mean, &[0.64, 0.0], 0.05));
    holds(compare::close("the posterior's std", &std, &[0.2_f64.sqrt(), 1.0], 0.04));
}

#[test]
fn guidance_by_gradients_obeys_the_laws() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let first = from_fn(|x0: Tensor<2>| x0.narrow(1, 0, 1));
    let y = Tensor::<2>::full([1, 1], 0.4, &device);
    let likelihood = GaussianLikelihood::new(0.2).unwrap();
    let by_sight = Reconstruction::new(classes(), first, y.clone(), likelihood).unwrap();
    let varying =
        by_sight.clone().scale(|at: NoiseLevel| if at.sigma > 0.9 { at.sigma } else { 0.0 });
    let normalized = Reconstruction::new(classes(), first, y, NormalizedLikelihood).unwrap();
    let by_class = ClassifierGuided::new(classes(), is_of(0), 2.0).unwrap();
    let interval = Interval::new(3.0, 0.5..=2.0).unwrap();
    let models: [Box<dyn Denoiser<2>>; 6] = [
        Box::new(by_sight.clone()),
        Box::new(varying.unwrap()),
        Box::new(normalized.scale(0.1).unwrap()),
        Box::new(by_class.clone()),
        Box::new(ClassifierGuided::new(classes(), is_of(1), interval).unwrap()),
        Box::new(ClassifierGuided::new(&by_sight, is_of(1), 1.0).unwrap()),
    ];
    for model in models {
        holds(denoiser::all(&*model, &schedule, [6, 2], &device));
    }
}

#[test]
fn two_observations_are_one_of_both() {
    let device = Device::flex();
    let column = |i| from_fn(move |x0: Tensor<3>| x0.narrow(2, i, 1));
    let both = from_fn(|x0: Tensor<3>| x0.narrow(2, 0, 2));
    let y = Tensor::<3>::from_floats([[[0.4, -0.6], [0.9, 0.2]]], &device);
    let seen_at = |i| y.clone().narrow(2, i, 1);
    let likelihood = GaussianLikelihood::new(0.1).unwrap().data_std(STD).unwrap();
    let inner = Reconstruction::new(gaussian(), column(0), seen_at(0), likelihood).unwrap();
    let nested = Reconstruction::new(inner, column(1), seen_at(1), likelihood).unwrap();
    let at_once = Reconstruction::new(gaussian(), both, y, likelihood).unwrap();
    holds(denoiser::agree(&nested, &at_once, &Cosine::default(), SHAPE, &device));
}

#[test]
fn senseless_guidance_is_refused() {
    let device = Device::flex();
    let at = Cosine::default().level(0.9);
    let x = |elements: usize| Tensor::<2>::ones([3, elements], &Device::flex());
    let classifier = |scale| ClassifierGuided::new(classes(), is_of(0), scale);
    says(classifier(f64::NAN), &["guidance scale", "NaN"]);
    assert_eq!(classifier(1.0).unwrap().check(&x(2), at), Ok(()));
    says(classifier(1.0).unwrap().check(&x(5), at), &["dimension of x", "5"]);
    // Without signal there is nothing to go by, unless nothing is to be done.
    let noise = NoiseLevel { timestep: 1000.0, alpha: 0.0, sigma: 1.0 };
    let refused = classifier(1.0).unwrap().check(&x(2), noise);
    says(refused, &["alpha = 0", "classifier guidance", "zero terminal SNR"]);
    let careful = |at: NoiseLevel| if at.alpha > 0.0 { 1.0 } else { 0.0 };
    let careful = ClassifierGuided::new(classes(), is_of(0), careful).unwrap();
    assert_eq!(careful.check(&x(2), noise), Ok(()));
    let (schedule, shape) = (Cosine::default(), [3, 2]);
    let samples = Sampling::new(&careful, &schedule).steps(10).sample(shape, &device).unwrap();
    assert!(compare::values("x", samples).unwrap().iter().all(|x| x.is_finite()));

    let by = |f: fn(Tensor<2>) -> Tensor<1>| {
        let classifier = from_fn(move |x: Tensor<2>, _: NoiseLevel| f(x));
        ClassifierGuided::new(classes(), classifier, 1.0).unwrap().check(&x(2), at)
    };
    says(by(|x| sum_each(x.detach())), &["the classifier", "no gradient", "detach"]);
    assert_eq!(
        by(|x| Tensor::zeros([3], &x.device())),
        Err(ModelError::NoGradient { what: "the classifier" })
    );
    says(by(|x| sum_each(x).narrow(0, 0, 1)), &["the log-probability", "1 samples", "3"]);
    says(by(|x| sum_each((x * 0.0).log())), &["ln p(y | x)", "-inf"]);
    says(by(|x| sum_each((x * 0.0).square()).sqrt()), &["gradient", "NaN"]);
    assert_eq!(by(|x| sum_each(x.square()).sqrt()), Ok(()));

    says(GaussianLikelihood::new(-0.1), &["observation's std", "-0.1"]);
    says(GaussianLikelihood::new(f64::INFINITY), &["inf"]);
    let likelihood = GaussianLikelihood::new(0.0).unwrap();
    says(likelihood.data_std(0.0), &["data's std", "0"]);
    says(likelihood.data_std(f64::NAN), &["NaN"]);
    says(likelihood.stretch(0.0), &["stretch", "0"]);
    says(likelihood.stretch(f64::INFINITY), &["inf"]);
    let blank = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    let through = |f: fn(Tensor<2>) -> Tensor<2>, y: Tensor<2>| {
        Reconstruction::new(classes(), from_fn(f), y, likelihood)
    };
    says(through(|x0| x0, blank([3, 2]) / 0.0), &["element of y", "NaN"]);
    says(through(|x0| x0, blank([3, 2])).unwrap().scale(f64::NAN), &["guidance scale", "NaN"]);
    let run = |f, y| through(f, y).unwrap().check(&x(2), at);
    assert_eq!(run(|x0| x0 * 2.0, blank([3, 2])), Ok(()));
    assert_eq!(run(|x0| x0 * 2.0, blank([1, 2])), Ok(()));
    says(run(|x0| x0 * 2.0, blank([3, 1])), &["output of the operator", "[3, 2]", "[3, 1]"]);
    says(run(|x0| x0 * 2.0, blank([2, 2])), &["[3, 2]", "[2, 2]"]);
    says(run(|x0| x0.sum_dim(0), blank([1, 2])), &["[1, 2]", "[3, 2]"]);
    says(run(|x0| (x0 * 0.0).log(), blank([3, 2])), &["A(x0)", "-inf"]);
    assert_eq!(run(|x0| x0.log(), blank([3, 2])), Ok(()));
    says(run(|x0| x0.detach(), blank([3, 2])), &["the operator", "no gradient"]);
    let blocked = from_fn(|x: Tensor<2>, _: NoiseLevel| x.detach());
    let guided =
        Reconstruction::new(blocked, from_fn(|x0: Tensor<2>| x0), blank([3, 2]), likelihood);
    says(guided.unwrap().check(&x(2), at), &["the denoiser", "no gradient"]);
    let guided = through(|x0| x0, blank([3, 2])).unwrap();
    says(guided.check(&x(2), noise), &["alpha = 0", "observation"]);
}
