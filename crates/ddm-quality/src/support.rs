//! Precision, recall, density and coverage.

use ddm_schedule::Invalid;

use crate::pairs::{by_row, squared_distance};
use crate::{Features, QualityError};

/// How well the supports of two sets agree, by balls around each row that reach to its kth nearest
/// neighbour in its own set: are the samples real (precision, density), and is all that is real among
/// the samples (recall, coverage)?
///
/// With N real rows xᵢ, M samples yⱼ, and B the closed ball of a row:
///
/// * precision: the share of the samples that lie in any B(xᵢ);
/// * recall: the share of the real rows that lie in any B(yⱼ);
/// * density: `Σⱼ Σᵢ 1[yⱼ ∈ B(xᵢ)] / (k M)`, which one outlier among the real rows does not spoil, and
///   which may exceed 1;
/// * coverage: the share of the real rows whose B(xᵢ) has a sample in it; about 1 − 2⁻ᵏ for as many
///   samples of the same distribution.
///
/// Sources: Kynkäänniemi et al., *Improved Precision and Recall Metric for Assessing Generative Models*,
/// sec. 2, arXiv 1904.06991 (k = 3); Naeem et al., *Reliable Fidelity and Diversity Metrics for
/// Generative Models*, sec. 3, arXiv 2002.09797 (k = 5).
///
/// ```
/// use ddm_quality::{Features, Support};
/// let line = |from: usize, to: usize| {
///     Features::from_values(to - from, 1, (from..to).map(|x| x as f64).collect())
/// };
/// // The samples are the first half of what is real.
/// let support = Support::of(&line(0, 100)?, &line(0, 50)?, 1)?;
/// assert_eq!((support.precision, support.recall, support.coverage), (1.0, 0.51, 0.51));
/// # Ok::<(), ddm_quality::QualityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Support {
    /// The share of the samples that lie in the support of the real rows.
    pub precision: f64,
    /// The share of the real rows that lie in the support of the samples.
    pub recall: f64,
    /// The mean number of balls of real rows around a sample, over k.
    pub density: f64,
    /// The share of the real rows that have a sample in their ball.
    pub coverage: f64,
}

impl Support {
    /// Compares samples with real rows by balls of k nearest neighbours.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Widths`] if the widths differ, [`QualityError::Invalid`] if k is 0, and
    /// [`QualityError::TooFew`] if a set has no more than k rows.
    pub fn of(real: &Features, samples: &Features, k: usize) -> Result<Self, QualityError> {
        QualityError::require_widths(real.width(), samples.width())?;
        Invalid::require(k > 0, "the number of neighbours", k as f64, "1 or more")?;
        let (n, m) = (real.rows(), samples.rows());
        QualityError::require_rows("this number of neighbours", k.saturating_add(1), [n, m])?;
        let (around_real, around_samples) = (squared_radii(real, k), squared_radii(samples, k));

        let balls = by_row(samples, real, squared_distance, |_, distances| {
            inside(distances, &around_real).filter(|inside| *inside).count()
        });
        let reached = by_row(real, samples, squared_distance, |row, distances| {
            let recalled = inside(distances, &around_samples).any(|inside| inside);
            let covered = distances.iter().any(|distance| *distance <= around_real[row]);
            (recalled, covered)
        });
        let share = |count: usize, of: usize| count as f64 / of as f64;
        Ok(Self {
            precision: share(balls.iter().filter(|balls| **balls > 0).count(), m),
            recall: share(reached.iter().filter(|(recalled, _)| *recalled).count(), n),
            density: balls.iter().sum::<usize>() as f64 / (k as f64 * m as f64),
            coverage: share(reached.iter().filter(|(_, covered)| *covered).count(), n),
        })
    }
}

/// Returns the squared distance of each row from its kth nearest neighbour, without itself.
fn squared_radii(set: &Features, k: usize) -> Vec<f64> {
    by_row(set, set, squared_distance, |row, distances| {
        distances[row] = f64::INFINITY;
        *distances.select_nth_unstable_by(k - 1, f64::total_cmp).1
    })
}

/// Returns for each ball whether the row at these distances from the centres lies in it.
fn inside(distances: &[f64], radii: &[f64]) -> impl Iterator<Item = bool> {
    distances.iter().zip(radii).map(|(distance, radius)| distance <= radius)
}
