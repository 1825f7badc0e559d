//! The densities of the exact models: against integrals, their own gradients and one another.

use burn::tensor::{Device, Tensor, TensorData};
use ddm_denoiser::{Denoiser, gradient};
use ddm_noise::HostNoise;
use ddm_schedule::{Cosine, NoiseLevel, NoiseSchedule, VarianceExploding};
use ddm_testkit::{FiniteData, Gaussian, GaussianMixture, compare, denoiser};

use crate::holds;

const DEVICE: fn() -> Device = Device::flex;

fn mixture() -> GaussianMixture {
    let means = [vec![-1.0, 0.2], vec![0.6, -0.5], vec![0.9, 1.1]];
    let mixture = GaussianMixture::new(means, [0.3, 0.1, 0.5], [1.0, 3.0, 2.0]).unwrap();
    mixture.with_classes([0, 1, 0]).unwrap()
}

fn levels() -> Vec<NoiseLevel> {
    let (vp, ve) = (Cosine::default(), VarianceExploding::default());
    vec![vp.level(0.1), vp.level(0.5), vp.level(0.9), ve.level(0.4), ve.level(0.7)]
}

fn places() -> Tensor<2> {
    Tensor::from_floats([[0.0, 0.0], [-1.0, 0.4], [0.7, -0.4], [2.0, 2.5]], &DEVICE())
}

/// A grid over a square of half width `reach`, and the area that each point stands for.
fn grid(reach: f64) -> (Tensor<2>, f64) {
    let (side, step) = (161, 2.0 * reach / 161.0);
    let place = |i: usize| (i as f64 + 0.5) * step - reach;
    let points: Vec<f64> =
        (0..side * side).flat_map(|i| [place(i % side), place(i / side)]).collect();
    let data = TensorData::new(points, [side * side, 2]);
    (Tensor::from_data(data, &DEVICE()), step * step)
}

#[test]
fn densities_integrate_to_one() {
    let gaussian = Gaussian::new([0.3, -0.2], 0.4).unwrap();
    for at in levels() {
        let (x, area) = grid(2.0 * at.alpha + 6.0 * (at.sigma.hypot(0.5 * at.alpha)));
        let mass = |log_density: Tensor<1>| {
            compare::values("mass", log_density.exp().sum()).unwrap()[0] * area
        };
        let found = [mass(mixture().log_density(x.clone(), at)), mass(gaussian.log_density(x, at))];
        holds(compare::close("mass 1", &found, &[1.0, 1.0], 1e-3));
    }
}

#[test]
fn the_gradient_of_the_density_is_the_score() {
    let (mixture, gaussian) = (mixture(), Gaussian::new([0.3, -0.2], 0.4).unwrap());
    for at in levels() {
        let score = |x0: Tensor<2>| (x0 * at.alpha - places()) / at.sigma.powi(2);
        let (_, slope) = gradient(places(), |x| mixture.log_density(x, at));
        let demanded = score(mixture.denoise(places(), at));
        holds(compare::close_tensors("mixture", slope.unwrap(), demanded, 2e-4));
        let (_, slope) = gradient(places(), |x| gaussian.log_density(x, at));
        let demanded = score(gaussian.denoise(places(), at));
        holds(compare::close_tensors("Gaussian", slope.unwrap(), demanded, 2e-4));
    }
}

#[test]
fn classes_share_the_density_by_bayes_rule() {
    let all = mixture();
    let weights = [0.5, 0.5]; // of 1 + 2 and of 3
    for at in levels() {
        let total = all.log_density(places(), at);
        for (class, weight) in weights.into_iter().enumerate() {
            let of_class = all.of_class(class).unwrap().log_density(places(), at);
            let demanded = of_class + f64::ln(weight) - total.clone();
            let found = all.log_probability(places(), at, class);
            holds(compare::close_tensors("Bayes", found, demanded, 1e-4));
        }
    }
    let nobody = all.log_probability(places(), levels()[0], 7);
    assert!(compare::values("nobody", nobody).unwrap().iter().all(|ln_p| *ln_p < -1e20));
}

#[test]
fn samples_have_the_mean_and_covariance() {
    let (mixture, count) = (mixture(), 40_000);
    let samples = mixture.sample(count, &mut HostNoise::new(3), &DEVICE());
    let values = compare::values("samples", samples).unwrap();
    let mean = |of: &dyn Fn(&[f64]) -> f64| values.chunks(2).map(of).sum::<f64>() / count as f64;
    let (means, covariance) = (mixture.mean(), mixture.covariance());
    for i in 0..2 {
        assert!(
            (mean(&|x| x[i]) - means[i]).abs() < 4.0 * (covariance[i][i] / count as f64).sqrt()
        );
        for j in 0..2 {
            let product = |x: &[f64]| (x[i] - means[i]) * (x[j] - means[j]);
            let spread = mean(&|x| product(x).powi(2)) - covariance[i][j].powi(2);
            let error = mean(&product) - covariance[i][j];
            assert!(error.abs() < 4.0 * (spread / count as f64).sqrt(), "{i} {j}: {error}");
        }
    }
}

#[test]
fn finite_data_is_a_mixture_of_points() {
    let (device, schedule) = (DEVICE(), Cosine::default());
    let rows = [[0.0, 1.0], [1.0, 0.0], [-0.5, -0.5]];
    let mixture = GaussianMixture::new(rows.map(Vec::from), [0.0; 3], [1.0; 3]).unwrap();
    let data = FiniteData::new(Tensor::<2>::from_floats(rows, &device)).unwrap();
    holds(denoiser::agree(&data, &mixture, &schedule, [4, 2], &device));
    holds(denoiser::all(&data, &schedule, [4, 2], &device));
    let images = FiniteData::new(Tensor::<3>::ones([5, 2, 3], &device)).unwrap();
    let refused = images
        .check(&Tensor::zeros([4, 3, 2], &device), schedule.level(0.5))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("[4, 3, 2]") && refused.contains("[4, 2, 3]"), "{refused}");
    assert!(FiniteData::new(Tensor::<2>::zeros([0, 2], &device)).is_err());
}

#[test]
fn classes_that_do_not_fit_are_refused() {
    let classes = mixture().with_classes([0, 1]).unwrap_err().to_string();
    assert!(classes.contains("classes") && classes.contains('2'), "{classes}");
    assert!(mixture().of_class(9).is_err());
}
