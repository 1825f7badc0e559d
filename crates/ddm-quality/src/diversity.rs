//! How far apart the samples of a set are.

use std::collections::BTreeMap;

use crate::pairs::{by_row, squared_distance};
use crate::{Features, QualityError};

/// Returns the mean distance `‖x − x′‖` of two different rows of a set.
///
/// Samples that all look alike have a smaller one than real data. It says nothing about whether the
/// samples look real: noise has a large one.
///
/// Source: Zhu et al., *Toward Multimodal Image-to-Image Translation*, arXiv 1711.11586, which uses the
/// features of LPIPS.
///
/// # Errors
///
/// Returns [`QualityError::TooFew`] if there are fewer than 2 rows.
pub fn mean_distance(set: &Features) -> Result<f64, QualityError> {
    let n = set.rows();
    QualityError::require_rows("a mean distance", 2, [n])?;
    // The distances of a row from itself are 0.
    Ok(mean_of_all(set, set) * n as f64 / (n - 1) as f64)
}

/// The [`mean_distance`] of the rows of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassDistance<C> {
    /// The label of the class.
    pub class: C,
    /// The number of its rows.
    pub rows: usize,
    /// The mean distance of two of them.
    pub distance: f64,
}

/// Returns the [`mean_distance`] of the rows of each class, in the order of the labels.
///
/// ```
/// use ddm_quality::{Features, class_distances};
/// let points = Features::from_values(4, 1, vec![0.0, 100.0, 3.0, 101.0])?;
/// let classes = class_distances(&points, &["a", "b", "a", "b"])?;
/// assert_eq!((classes[0].class, classes[0].distance), ("a", 3.0));
/// assert_eq!((classes[1].class, classes[1].distance), ("b", 1.0));
/// # Ok::<(), ddm_quality::QualityError>(())
/// ```
///
/// # Errors
///
/// Returns [`QualityError::Labels`] if there is not one label for each row, and
/// [`QualityError::TooFew`] if a class has only one row.
pub fn class_distances<C: Copy + Ord>(
    set: &Features,
    labels: &[C],
) -> Result<Vec<ClassDistance<C>>, QualityError> {
    if labels.len() != set.rows() {
        return Err(QualityError::Labels { labels: labels.len(), rows: set.rows() });
    }
    let mut classes = BTreeMap::<C, Vec<usize>>::new();
    for (row, class) in labels.iter().enumerate() {
        classes.entry(*class).or_default().push(row);
    }
    let distance = |(class, rows): (C, Vec<usize>)| {
        let distance = mean_distance(&set.picked(&rows))?;
        Ok(ClassDistance { class, rows: rows.len(), distance })
    };
    classes.into_iter().map(distance).collect()
}

/// Returns the mean distance of a row of one set from a row of the other, over all pairs.
pub(crate) fn mean_of_all(a: &Features, b: &Features) -> f64 {
    let sums = by_row(a, b, squared_distance, |_, squares| {
        squares.iter().map(|square| square.sqrt()).sum::<f64>()
    });
    sums.iter().sum::<f64>() / (a.rows() as f64 * b.rows() as f64)
}
