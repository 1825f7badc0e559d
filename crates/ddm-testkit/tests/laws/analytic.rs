//! The exact denoisers against numerical integration.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::Denoiser;
use ddm_samplers::{Ddim, Sampling};
use ddm_schedule::{Cosine, NoiseLevel, NoiseSchedule};
use ddm_testkit::{Gaussian, GaussianMixture, compare, denoiser};

use crate::holds;

fn bell(x: f64, mean: f64, std: f64) -> f64 {
    (-0.5 * ((x - mean) / std).powi(2)).exp() / std
}

/// `E[x₀ | x] = ∫ x₀ p(x₀) N(x; α x₀, σ²) dx₀ / ∫ p(x₀) N(x; α x₀, σ²) dx₀`, by a fine sum.
fn integrated(density: impl Fn(f64) -> f64, x: f64, at: NoiseLevel) -> f64 {
    let (mut above, mut below) = (0.0, 0.0);
    for i in -40_000..=40_000 {
        let x0 = f64::from(i) * 2e-4;
        let weight = density(x0) * bell(x, at.alpha * x0, at.sigma);
        above += x0 * weight;
        below += weight;
    }
    above / below
}

const X: [f64; 5] = [-1.5, -0.2, 0.0, 0.4, 2.0];

fn predictions(model: &dyn Denoiser<2>, at: NoiseLevel) -> Vec<f64> {
    let x = Tensor::<1>::from_floats(X, &Device::flex()).reshape([5, 1]);
    compare::values("x0", model.denoise(x, at)).unwrap()
}

#[test]
fn the_gaussian_denoiser_is_the_integral() {
    let (mean, std) = (0.7, 0.4);
    let gaussian = Gaussian::new([mean], std).unwrap();
    for at in [0.2, 0.5, 0.8].map(|t| Cosine::default().level(t)) {
        let demanded = X.map(|x| integrated(|x0| bell(x0, mean, std), x, at));
        holds(compare::close("Gaussian", &predictions(&gaussian, at), &demanded, 1e-5));
    }
}

#[test]
fn the_mixture_denoiser_is_the_integral() {
    let (means, stds, weights) = ([-1.0, 0.5, 1.2], [0.1, 0.4, 0.2], [1.0, 3.0, 0.5]);
    let means_of_rows = means.map(|mean| vec![mean]);
    let mixture = GaussianMixture::new(means_of_rows, stds, weights).unwrap();
    let density =
        |x0: f64| -> f64 { (0..3).map(|k| weights[k] * bell(x0, means[k], stds[k])).sum() };
    for at in [0.2, 0.5, 0.8].map(|t| Cosine::default().level(t)) {
        let demanded = X.map(|x| integrated(density, x, at));
        holds(compare::close("mixture", &predictions(&mixture, at), &demanded, 1e-5));
    }
}

#[test]
fn a_mixture_of_one_is_the_gaussian() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let gaussian = Gaussian::new([0.1, -0.6, 0.3], 0.4).unwrap();
    let mixture = GaussianMixture::new([vec![0.1, -0.6, 0.3]], [0.4], [2.0]).unwrap();
    holds(denoiser::agree(&mixture, &gaussian, &schedule, [4, 3], &device));
    holds(denoiser::all(&mixture, &schedule, [4, 3], &device));
}

#[test]
fn far_and_noiseless_components_stay_finite() {
    let device = Device::flex();
    let points = vec![vec![-100.0, 0.0], vec![100.0, 0.0], vec![0.0, 1.0]];
    let mixture = GaussianMixture::new(points, [0.0; 3], [1.0; 3]).unwrap();
    let x = Tensor::<2>::from_floats([[99.0, 0.3], [0.1, 0.9], [-1e4, 0.0]], &device);
    for sigma in [0.0, 1e-6, 1e-3, 0.1] {
        let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma };
        let demanded = [[100.0, 0.0], [0.0, 1.0], [-100.0, 0.0]];
        let demanded = Tensor::from_floats(demanded, &device);
        let law = "the nearest point";
        holds(compare::close_tensors(law, mixture.denoise(x.clone(), at), demanded, 1e-6));
    }
}

#[test]
fn sampling_a_mixture_of_points_ends_at_points() {
    let (device, schedule) = (Device::flex(), Cosine::default());
    let points = [vec![-1.0, 0.0], vec![1.0, 0.5]];
    let mixture = GaussianMixture::new(points, [0.0; 2], [1.0, 3.0]).unwrap();
    let sampling = Sampling::new(&mixture, &schedule).sampler(Ddim::new(1.0).unwrap());
    let samples = sampling.steps(200).seed(1).sample([4000, 2], &device).unwrap();
    let first: Vec<f64> = compare::values("samples", samples.narrow(1, 0, 1)).unwrap();
    assert!(first.iter().all(|x| (x.abs() - 1.0).abs() < 1e-3));
    let share = first.iter().filter(|x| **x > 0.0).count() as f64 / 4000.0;
    assert!((share - 0.75).abs() < 0.04, "{share} of the samples at the point of weight 0.75");
}

#[test]
fn senseless_distributions_are_refused() {
    let said = |error: ddm_denoiser::ModelError| error.to_string();
    assert!(said(Gaussian::new([0.0], -1.0).unwrap_err()).contains("-1"));
    assert!(said(Gaussian::new([0.0, f64::NAN], 1.0).unwrap_err()).contains("NaN"));
    assert!(Gaussian::new([], 1.0).is_err());
    let mixture = |means: [Vec<f64>; 1], stds: Vec<f64>, weights: Vec<f64>| {
        GaussianMixture::new(means, stds, weights)
    };
    assert!(mixture([vec![0.0]], vec![1.0, 1.0], vec![1.0]).is_err());
    assert!(mixture([vec![0.0]], vec![1.0], vec![]).is_err());
    assert!(said(mixture([vec![0.0]], vec![-0.5], vec![1.0]).unwrap_err()).contains("-0.5"));
    assert!(said(mixture([vec![0.0]], vec![1.0], vec![0.0]).unwrap_err()).contains("weight"));
    assert!(mixture([vec![]], vec![1.0], vec![1.0]).is_err());
    assert!(
        said(mixture([vec![f64::INFINITY]], vec![1.0], vec![1.0]).unwrap_err()).contains("inf")
    );
    let flat = GaussianMixture::new([vec![0.0]], [1.0], [1.0]).unwrap();
    let schedule = Cosine::default();
    let run = Sampling::new(&flat, &schedule).start([1, 3], &Device::flex());
    assert!(run.unwrap_err().to_string().contains("dimension"));
}
