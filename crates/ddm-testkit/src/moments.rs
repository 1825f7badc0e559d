//! The mean and variance of a sampler's output, exact and from samples.
//!
//! On Gaussian data every sampler is an affine map of its start and its noise draws. So a run of
//! impulses (one draw is 1 in one sample, 0 elsewhere) gives the mean and variance after n steps
//! *exactly*, including the discretization error, without a random sample. The moments of many
//! samples must then agree with these up to chance.

mod covariance;

use burn::tensor::{Device, Tensor, TensorData};
use ddm_samplers::{HostNoise, NoiseSource, Sampler};

use crate::{
    GaussianPath, Violation, compare,
    order::{STEPS, slope},
};

pub use covariance::{samples_have, standard_errors_off};

/// A mean and a variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f64,
    /// Variance.
    pub variance: f64,
}

/// Checks both laws: n steps reach the data's marginal, and samples have the moments of n steps.
///
/// # Errors
///
/// Returns the first violation.
pub fn all<S: Sampler<2>>(
    sampler: &S,
    path: &GaussianPath<'_>,
    n: usize,
    tolerance: f64,
    device: &Device,
) -> Result<(), Violation> {
    are_right(sampler, path, n, tolerance, device)?;
    samples_agree(sampler, path, n, 20_000, device)
}

/// A source of impulses: draw k is 1 in sample k + 2 and 0 elsewhere; samples 0 and 1 have no
/// noise.
#[derive(Default)]
struct Impulses {
    draws: usize,
}

impl NoiseSource for Impulses {
    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        let mut values = vec![0f32; shape[0] * shape[1]];
        let row = self.draws + 2;
        self.draws += 1;
        values.iter_mut().skip(row * shape[1]).take(shape[1]).for_each(|value| *value = 1.0);
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [length]), device)
    }
}

/// Returns the exact moments after n steps that start from the exact marginal.
///
/// The sampler must be affine in x and noise if its model is, as all are that do not adapt to x.
///
/// # Errors
///
/// Returns the first violation.
pub fn exact<S: Sampler<2>>(
    sampler: &S,
    path: &GaussianPath<'_>,
    n: usize,
    device: &Device,
) -> Result<Moments, Violation> {
    let mut count = Impulses::default();
    path.run(sampler, n, &[0.0, 1.0], &mut count, device)?;
    // Sample 0 has no noise, sample 1 only that of the start, each further one a single draw.
    let mut z = vec![0.0; count.draws + 2];
    z[1] = 1.0;
    let ends = path.run(sampler, n, &z, Impulses::default(), device)?;
    let variance = ends[1..].iter().map(|x| (x - ends[0]).powi(2)).sum();
    Ok(Moments { mean: ends[0], variance })
}

/// Checks that the exact moments after n steps are those of the data at the last level, up to
/// `tolerance` relative to its standard deviation. A method of order p has an error of about
/// n^(−p).
///
/// # Errors
///
/// Returns the first violation.
pub fn are_right<S: Sampler<2>>(
    sampler: &S,
    path: &GaussianPath<'_>,
    n: usize,
    tolerance: f64,
    device: &Device,
) -> Result<(), Violation> {
    let found = exact(sampler, path, n, device)?;
    let (mean, std) = path.end();
    Violation::unless(
        (found.mean - mean).abs() <= tolerance * std
            && (found.variance / (std * std) - 1.0).abs() <= tolerance,
        "a sampler reaches the data's mean and variance",
        || format!("{found:?} after {n} steps"),
        &format!("mean {mean} and variance {}, relative ± {tolerance}", std * std),
    )
}

/// Checks that the variance has this weak order, ± 0.2: its error falls as n^(−p), measured at
/// n = 20, 40, 80 and 160 steps.
///
/// # Errors
///
/// Returns the first violation.
pub fn has_weak_order<S: Sampler<2>>(
    sampler: &S,
    order: f64,
    path: &GaussianPath<'_>,
    device: &Device,
) -> Result<(), Violation> {
    let (_, std) = path.end();
    let error = |&n: &usize| Ok((exact(sampler, path, n, device)?.variance - std * std).abs());
    let errors: Vec<f64> = STEPS.iter().map(error).collect::<Result<_, Violation>>()?;
    Violation::unless(
        slope(&errors).is_some_and(|found| (found - order).abs() <= 0.2),
        "a sampler has its stated weak order",
        || format!("{:.2?}, errors {errors:?} at {STEPS:?} steps", slope(&errors)),
        &format!("{order} ± 0.2"),
    )
}

/// Checks that mean and variance of `samples` samples are the exact ones of n steps, within 4.5
/// standard errors: `s/√N` of the mean, `s² √(2/N)` of the variance.
///
/// # Errors
///
/// Returns the first violation.
pub fn samples_agree<S: Sampler<2>>(
    sampler: &S,
    path: &GaussianPath<'_>,
    n: usize,
    samples: usize,
    device: &Device,
) -> Result<(), Violation> {
    const LAW: &str = "samples have the sampler's mean and variance";
    let exact = exact(sampler, path, n, device)?;
    let mut noise = HostNoise::new(5);
    let start = NoiseSource::draw(&mut noise, [samples, 1], device);
    let z = compare::values(LAW, start)?;
    let found = of(&path.run(sampler, n, &z, noise, device)?);
    let count = samples as f64;
    let errors = (
        (found.mean - exact.mean) / (exact.variance / count).sqrt(),
        (found.variance - exact.variance) / (exact.variance * (2.0 / count).sqrt()),
    );
    Violation::unless(
        errors.0.abs() <= 4.5 && errors.1.abs() <= 4.5,
        LAW,
        || format!("{found:?} of {samples} samples, off by {errors:.1?} standard errors"),
        &format!("{exact:?}, up to 4.5 standard errors"),
    )
}

/// Returns the mean and variance of values.
pub fn of(values: &[f64]) -> Moments {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    Moments { mean, variance: values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count }
}
