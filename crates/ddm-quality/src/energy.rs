//! The energy distance between two sets of points.

use crate::diversity::mean_of_all;
use crate::{Features, QualityError};

/// Returns the energy distance of two sets of points:
/// `2 E‖x − y‖ − E‖x − x′‖ − E‖y − y′‖`, the means over all pairs, also of a row with itself.
///
/// It is 0 for equal sets only, and has no settings. Two sets of one distribution have a distance of
/// about `(1/n + 1/m) E‖x − x′‖`. Some programs return its root.
///
/// Source: Székely and Rizzo, *Energy statistics: A class of statistics based on distances*, Journal of
/// Statistical Planning and Inference 143 (2013).
///
/// ```
/// use ddm_quality::{Features, energy_distance};
/// let at = |x: f64| Features::from_values(1, 1, vec![x]);
/// assert_eq!(energy_distance(&at(1.0)?, &at(4.0)?)?, 6.0);
/// # Ok::<(), ddm_quality::QualityError>(())
/// ```
///
/// # Errors
///
/// Returns [`QualityError::Widths`] if the widths differ.
pub fn energy_distance(a: &Features, b: &Features) -> Result<f64, QualityError> {
    QualityError::require_widths(a.width(), b.width())?;
    Ok((2.0 * mean_of_all(a, b) - mean_of_all(a, a) - mean_of_all(b, b)).max(0.0))
}
