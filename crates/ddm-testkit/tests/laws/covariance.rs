//! The law of mean and covariance holds of exact samples and catches what is a little off.

use burn::tensor::{Device, Tensor};
use ddm_samplers::HostNoise;
use ddm_testkit::{GaussianMixture, moments};

use crate::{catches, holds};

const LAW: &str = "samples have the mean and the covariance";

fn data() -> GaussianMixture {
    let means = [vec![-1.0, 0.5, 0.0], vec![1.0, 0.0, 0.3]];
    GaussianMixture::new(means, [0.3, 0.5], [1.0, 2.0]).unwrap()
}

fn samples() -> Tensor<2> {
    data().sample(10_000, &mut HostNoise::new(12), &Device::flex())
}

fn checked(samples: Tensor<2>) -> Result<(), ddm_testkit::Violation> {
    moments::samples_have(samples, &data().mean(), &data().covariance(), 3.0)
}

#[test]
fn exact_samples_have_their_moments() {
    holds(checked(samples()));
    let point = Tensor::<2>::full([5, 2], 0.5, &Device::flex());
    holds(moments::samples_have(point, &[0.5, 0.5], &[vec![0.0; 2], vec![0.0; 2]], 3.0));
}

#[test]
fn what_is_off_by_a_few_hundredths_is_caught() {
    let row = |values: [f32; 3]| Tensor::<2>::from_floats([values], &Device::flex());
    catches(LAW, checked(samples() + row([0.0, 0.04, 0.0])));
    // One variance, and then one covariance alone: the third element takes in a bit of the second.
    catches(LAW, checked(samples() * row([1.0, 1.0, 1.05])));
    let second = samples().narrow(1, 1, 1);
    let leaked = Tensor::cat(vec![second.zeros_like().repeat_dim(1, 2), second * 0.1], 1);
    catches(LAW, checked(samples() + leaked));
    let zeros = vec![vec![0.0; 3]; 3];
    catches(LAW, moments::samples_have(samples(), &data().mean(), &zeros, 3.0));
}

#[test]
fn moments_of_another_size_are_refused() {
    catches(LAW, moments::samples_have(samples(), &[0.0; 2], &data().covariance(), 3.0));
    catches(LAW, moments::samples_have(samples(), &[0.0; 3], &[vec![0.0; 3]], 3.0));
    let nan = samples() * f64::NAN;
    catches(LAW, checked(nan));
}

/// Of a Gaussian the standard error from the samples is `√((C_ii C_jj + C_ij²)/N)`, up to chance:
/// the same deviation counts alike.
#[test]
fn the_standard_error_is_that_of_a_gaussian() {
    let gaussian = GaussianMixture::new([vec![0.3, -0.2]], [0.5], [1.0]).unwrap();
    let samples = gaussian.sample(20_000, &mut HostNoise::new(2), &Device::flex());
    // C off by d: d/√(2 C²/N) for a variance, d/√(C²/N) for a covariance.
    let wrong = [vec![0.25 - 0.1, 0.1], vec![0.1, 0.25]];
    let found = moments::standard_errors_off(samples.clone(), &[0.3, -0.2], &wrong).unwrap();
    let right = moments::standard_errors_off(samples, &[0.3, -0.2], &gaussian.covariance());
    let right = right.unwrap();
    let root = 20_000_f64.sqrt();
    let (variance, covariance) = (0.1 / 0.25 / 2_f64.sqrt() * root, -0.1 / 0.25 * root);
    assert!(((found[2] - right[2]) / variance - 1.0).abs() < 0.05, "{found:?} {right:?}");
    assert!(((found[3] - right[3]) / covariance - 1.0).abs() < 0.05, "{found:?} {right:?}");
}
