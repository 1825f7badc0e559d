//! The kernel distance between two sets of features.

use ddm_noise::HostNoise;
use ddm_schedule::Invalid;
use rand::seq::index;

use crate::pairs::{by_row, dot};
use crate::{Features, QualityError};

/// Returns the kernel distance of two sets of features, the KID if the features are those of the
/// Inception network: the unbiased estimate of the squared maximum mean discrepancy
/// `E k(x, x′) + E k(y, y′) − 2 E k(x, y)` with the kernel `k(x, y) = (xᵀy/d + 1)³`.
///
/// Its expectation does not depend on the number of rows, and is 0 for two sets of one distribution;
/// single values may therefore be below 0.
///
/// Source: Bińkowski et al., *Demystifying MMD GANs*, sec. 4, arXiv 1801.01401.
///
/// # Errors
///
/// Returns [`QualityError::Widths`] if the widths differ, and [`QualityError::TooFew`] if a set has
/// fewer than 2 rows.
pub fn kernel_distance(a: &Features, b: &Features) -> Result<f64, QualityError> {
    QualityError::require_widths(a.width(), b.width())?;
    QualityError::require_rows("the kernel distance", 2, [a.rows(), b.rows()])?;
    let pairs = a.rows() as f64 * b.rows() as f64;
    Ok(within(a) + within(b) - 2.0 * total(a, b, |_, _| true) / pairs)
}

/// Returns the mean kernel of two different rows of a set.
fn within(set: &Features) -> f64 {
    let pairs = set.rows() as f64 * (set.rows() - 1) as f64;
    total(set, set, |row, other| row != other) / pairs
}

/// Returns the sum of the kernel over the wanted pairs.
fn total(a: &Features, b: &Features, wanted: impl Fn(usize, usize) -> bool + Sync) -> f64 {
    let width = a.width() as f64;
    let kernel = |x: &[f64], y: &[f64]| (dot(x, y) / width + 1.0).powi(3);
    let sum = |row: usize, values: &mut [f64]| {
        let values = values.iter().enumerate();
        values.filter(|(other, _)| wanted(row, *other)).map(|(_, value)| value).sum::<f64>()
    };
    by_row(a, b, kernel, sum).iter().sum()
}

/// The [`kernel_distance`] of random subsets, with its standard error.
///
/// Each subset is drawn without replacement, independently of the other subsets.
///
/// Source: as there.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use ddm_quality::{Features, KernelDistance};
/// let device = Device::flex();
/// device.seed(3);
/// let draw = || Features::new(Tensor::random([400, 4], Distribution::Default, &device));
/// let estimate = KernelDistance { subsets: 20, size: 100, seed: 7 }.between(&draw()?, &draw()?)?;
/// assert!(estimate.mean.abs() < 4.0 * estimate.standard_error);
/// # Ok::<(), ddm_quality::QualityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelDistance {
    /// The number of subsets of each set, 2 or more.
    pub subsets: usize,
    /// The number of rows of a subset, 2 or more.
    pub size: usize,
    /// The same seed gives the same subsets.
    pub seed: u64,
}

impl Default for KernelDistance {
    /// 100 subsets of 1000 rows.
    fn default() -> Self {
        Self { subsets: 100, size: 1000, seed: 0 }
    }
}

/// A [`KernelDistance`] of subsets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelEstimate {
    /// The mean over the subsets.
    pub mean: f64,
    /// The standard deviation over the subsets, which other programs print beside the mean.
    pub deviation: f64,
    /// The standard error of the mean: the deviation over the root of the number of subsets, of which
    /// no more are counted than fit into the smaller set without sharing a row.
    pub standard_error: f64,
}

impl KernelDistance {
    /// Estimates the distance of two sets.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Widths`] if the widths differ, [`QualityError::TooFew`] if a set has
    /// fewer rows than a subset, and [`QualityError::Invalid`] if there are fewer than 2 subsets or
    /// rows in a subset.
    pub fn between(&self, a: &Features, b: &Features) -> Result<KernelEstimate, QualityError> {
        let Self { subsets, size, seed } = *self;
        Invalid::require(subsets >= 2, "the number of subsets", subsets as f64, "2 or more")?;
        Invalid::require(size >= 2, "the size of the subsets", size as f64, "2 or more")?;
        QualityError::require_widths(a.width(), b.width())?;
        QualityError::require_rows("this size of the subsets", size, [a.rows(), b.rows()])?;
        let noise = HostNoise::new(seed).fork("subsets of the kernel distance");
        let subset = |set: &Features, sample: usize| {
            let rngs = noise.clone().starting_at(sample as u64).rngs(1);
            let rows = rngs.flat_map(|mut rng| index::sample(&mut rng, set.rows(), size));
            set.picked(&rows.collect::<Vec<_>>())
        };
        let mut distances = Vec::new();
        for index in 0..subsets {
            distances.push(kernel_distance(&subset(a, 2 * index), &subset(b, 2 * index + 1))?);
        }
        let mean = distances.iter().sum::<f64>() / subsets as f64;
        let squares: f64 = distances.iter().map(|distance| (distance - mean).powi(2)).sum();
        let deviation = (squares / (subsets - 1) as f64).sqrt();
        let disjoint = subsets.min(a.rows().min(b.rows()) / size);
        let standard_error = deviation / (disjoint as f64).sqrt();
        Ok(KernelEstimate { mean, deviation, standard_error })
    }
}
