//! Mean and variance of what a sampler makes, exact and from samples.
//!
//! On Gaussian data every sampler is an affine map of its start and its noise draws. So a run of
//! impulses (one draw 1 in one sample, 0 elsewhere) tells the mean and variance of what n steps
//! make *exactly*, the discretisation's own error included, without drawing a single sample; and
//! many samples must then agree with that up to chance alone.

mod covariance;

use burn::tensor::{Device, Tensor, TensorData};
use ddm_samplers::{HostNoise, NoiseSource, Sampler};

use crate::{
    GaussianPath, Violation, compare,
    order::{STEPS, slope},
};

pub use covariance::{samples_have, standard_errors_off};

/// Mean and variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: f64,
    /// Variance.
    pub variance: f64,
}

/// Both laws: n steps come close to the data's marginal, and samples do what n steps should.
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

/// Draw k is 1 in sample k + 2 and 0 elsewhere; samples 0 and 1 have no noise.
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

/// The exact moments at the end of n steps that start from the exact marginal.
///
/// For a sampler that is affine in x and noise where its model is: all that do not adapt to x.
pub fn exact<S: Sampler<2>>(
    sampler: &S,
    path: &GaussianPath<'_>,
    n: usize,
    device: &Device,
) -> Result<Moments, Violation> {
    let mut count = Impulses::default();
    path.run(sampler, n, &[0.0, 1.0], &mut count, device)?;
    // Sample 0 has no noise anywhere, sample 1 only that of the start, each further one a draw.
    let mut z = vec![0.0; count.draws + 2];
    z[1] = 1.0;
    let ends = path.run(sampler, n, &z, Impulses::default(), device)?;
    let variance = ends[1..].iter().map(|x| (x - ends[0]).powi(2)).sum();
    Ok(Moments { mean: ends[0], variance })
}

/// The exact moments after n steps are those of the data at the last level, relative to its
/// standard deviation up to `tolerance`; a method of order p is wrong by about n^(−p).
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
        "a sampler makes the data's mean and variance",
        || format!("{found:?} after {n} steps"),
        &format!("mean {mean} and variance {}, relative ± {tolerance}", std * std),
    )
}

/// The variance has this weak order, ± 0.2: its error falls as n^(−p), measured at n = 20, 40, 80
/// and 160 steps.
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
        "a sampler has its weak order",
        || format!("{:.2?}, errors {errors:?} at {STEPS:?} steps", slope(&errors)),
        &format!("{order} ± 0.2"),
    )
}

/// Mean and variance of `samples` samples are the exact ones of n steps, within 4.5 standard
/// errors: `s/√N` of the mean, `s² √(2/N)` of the variance.
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

/// Mean and variance of values.
pub fn of(values: &[f64]) -> Moments {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    Moments { mean, variance: values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count }
}
