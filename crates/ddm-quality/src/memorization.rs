//! Whether samples are copies of the training data.

use crate::pairs::{by_row, squared_distance};
use crate::{Features, QualityError};

/// The nearest row of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its index in the data.
    pub index: usize,
    /// Its distance.
    pub distance: f64,
}

/// Returns for each sample the nearest row of the data, the first of those that are equally near.
///
/// # Errors
///
/// Returns [`QualityError::Widths`] if the widths differ.
pub fn nearest(samples: &Features, data: &Features) -> Result<Vec<Neighbour>, QualityError> {
    QualityError::require_widths(samples.width(), data.width())?;
    Ok(by_row(samples, data, squared_distance, |_, squares| {
        let (mut index, mut least) = (0, f64::INFINITY);
        for (row, square) in squares.iter().enumerate() {
            if *square < least {
                (index, least) = (row, *square);
            }
        }
        Neighbour { index, distance: least.sqrt() }
    }))
}

/// The distances of samples from the training data, beside those of real rows that were held out.
///
/// What is near to the training data need not be copied: real data is near to it as well. Copies are
/// nearer than that.
///
/// Source: Meehan et al., *A Non-Parametric Test to Detect Data-Copying in Generative Models*, arXiv
/// 2004.05675 ([`closer`](Self::closer) is the rank statistic of its test, on the whole space).
///
/// ```
/// use ddm_quality::{Features, Memorization};
/// let points = |values: [f64; 3]| Features::from_values(3, 1, values.to_vec());
/// let (training, held_out) = (points([0.0, 1.0, 2.0])?, points([0.1, 0.6, 2.2])?);
/// let copies = Memorization::of(&points([0.0, 1.0, 2.001])?, &training, &held_out)?;
/// assert_eq!((copies.samples[1].index, copies.closer()), (1, 1.0));
/// # Ok::<(), ddm_quality::QualityError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Memorization {
    /// The nearest training row of each sample.
    pub samples: Vec<Neighbour>,
    /// The nearest training row of each held-out row.
    pub held_out: Vec<Neighbour>,
}

impl Memorization {
    /// Finds the nearest training rows of the samples and of the held-out rows.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Widths`] if the widths differ.
    pub fn of(
        samples: &Features,
        training: &Features,
        held_out: &Features,
    ) -> Result<Self, QualityError> {
        let (samples, held_out) = (nearest(samples, training)?, nearest(held_out, training)?);
        Ok(Self { samples, held_out })
    }

    /// Returns how often a sample is closer to the training data than a held-out row is, over all
    /// pairs of the two, an equal distance counted as one half: 0.5 for samples like new data, 1 for
    /// copies, and less than 0.5 for samples that are further from the data than real ones.
    pub fn closer(&self) -> f64 {
        let real = sorted(&self.held_out);
        let beaten = |Neighbour { distance, .. }: &Neighbour| {
            let closer = real.partition_point(|real| real < distance);
            let as_close = real.partition_point(|real| real <= distance) - closer;
            (real.len() - closer) as f64 - as_close as f64 / 2.0
        };
        let pairs = self.samples.len() as f64 * real.len() as f64;
        self.samples.iter().map(beaten).sum::<f64>() / pairs
    }

    /// Returns the median distance of the samples.
    pub fn sample_median(&self) -> f64 {
        median(&self.samples)
    }

    /// Returns the median distance of the held-out rows.
    pub fn held_out_median(&self) -> f64 {
        median(&self.held_out)
    }
}

/// Returns the distances in ascending order.
fn sorted(neighbours: &[Neighbour]) -> Vec<f64> {
    let mut distances: Vec<f64> = neighbours.iter().map(|neighbour| neighbour.distance).collect();
    distances.sort_unstable_by(f64::total_cmp);
    distances
}

/// Returns the median: the mean of the two in the middle, if their number is even.
fn median(neighbours: &[Neighbour]) -> f64 {
    let distances = sorted(neighbours);
    // No set of features is empty.
    let (low, high) = (distances.len().saturating_sub(1) / 2, distances.len() / 2);
    f64::midpoint(distances[low], distances[high])
}
