//! The Fréchet distance between two sets of features, as if they were Gaussian.

use ddm_schedule::Invalid;
use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::features::LARGEST;
use crate::{Features, QualityError};

/// Returns the Fréchet distance of two sets of features, the FID if the features are those of the
/// Inception network: [`Gaussian::distance`] of their means and covariances.
///
/// It is biased: fewer rows give a larger distance, also between sets of the same distribution. Compare
/// distances of equally many rows only. With no more rows than features the covariances are singular,
/// which is allowed, but the bias is large; prefer [`kernel_distance`](crate::kernel_distance) there.
///
/// Source: Heusel et al., *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
/// Equilibrium*, eq. 6, arXiv 1706.08500.
///
/// # Errors
///
/// Returns [`QualityError::Widths`] if the widths differ, and [`QualityError::TooFew`] if a set has
/// fewer than 2 rows.
pub fn frechet_distance(a: &Features, b: &Features) -> Result<f64, QualityError> {
    Gaussian::of(a)?.distance(&Gaussian::of(b)?)
}

/// The mean and covariance of features: what the Fréchet distance knows of a set. Those of the real data
/// are computed once, for many comparisons.
///
/// ```
/// use ddm_quality::Gaussian;
/// let one = Gaussian::new(vec![0.0, 0.0], vec![1.0, 0.0, 0.0, 4.0])?;
/// let other = Gaussian::new(vec![3.0, 0.0], vec![1.0, 0.0, 0.0, 1.0])?;
/// // 3² + 0² for the means, (1 − 1)² + (2 − 1)² for the stds
/// assert!((one.distance(&other)? - 10.0).abs() < 1e-12);
/// # Ok::<(), ddm_quality::QualityError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
}

impl Gaussian {
    /// Computes the mean and the covariance, with n − 1 in the denominator, of the rows.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::TooFew`] if there are fewer than 2 rows.
    pub fn of(features: &Features) -> Result<Self, QualityError> {
        let (n, width) = (features.rows(), features.width());
        QualityError::require_rows("a covariance", 2, [n])?;
        let mut rows = DMatrix::from_row_slice(n, width, features.values());
        let mean = rows.row_mean().transpose();
        for (mut column, mean) in rows.column_iter_mut().zip(&mean) {
            column.add_scalar_mut(-mean);
        }
        let covariance = rows.tr_mul(&rows) / (n - 1) as f64;
        Ok(Self { mean, covariance: symmetric(covariance) })
    }

    /// Creates the Gaussian of a mean (d numbers) and a covariance (d² numbers, row after row), such as
    /// published statistics of a data set.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Empty`] if d is 0, [`QualityError::Length`] if there are not d² numbers,
    /// [`QualityError::NotSymmetric`] if the covariance differs from its transpose by more than 1e-6 of
    /// its largest variance, and [`QualityError::Invalid`] if a number is not finite, is too large, or
    /// is a variance below 0.
    pub fn new(mean: Vec<f64>, covariance: Vec<f64>) -> Result<Self, QualityError> {
        let width = mean.len();
        if width == 0 {
            return Err(QualityError::Empty { rows: 1, width });
        }
        if width.checked_mul(width) != Some(covariance.len()) {
            return Err(QualityError::Length { found: covariance.len(), rows: width, width });
        }
        for &value in &mean {
            Invalid::require(value.abs() <= LARGEST, "a mean", value, "finite, within ±1e30")?;
        }
        for &value in &covariance {
            let fits = value.abs() <= LARGEST * LARGEST;
            Invalid::require(fits, "a covariance", value, "finite, within ±1e60")?;
        }
        let covariance = DMatrix::from_row_slice(width, width, &covariance);
        let variances = covariance.diagonal();
        for &value in &variances {
            Invalid::require(value >= 0.0, "a variance", value, "0 or more")?;
        }
        let tolerance = 1e-6 * variances.max();
        for column in 0..width {
            for row in 0..column {
                let (one, other) = (covariance[(row, column)], covariance[(column, row)]);
                if (one - other).abs() > tolerance {
                    return Err(QualityError::NotSymmetric { row, column, one, other });
                }
            }
        }
        Ok(Self { mean: mean.into(), covariance: symmetric(covariance) })
    }

    /// Returns the Fréchet distance: `‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½)`, the squared
    /// 2-Wasserstein distance of the two Gaussians.
    ///
    /// The last trace is the sum of the singular values of `Σ₁^½ Σ₂^½`. A result below 0, which rounding
    /// can give, is returned as 0. The time grows with d³.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Widths`] if the widths differ, and [`QualityError::Decomposition`] if the
    /// covariances cannot be decomposed.
    pub fn distance(&self, other: &Self) -> Result<f64, QualityError> {
        QualityError::require_widths(self.mean.len(), other.mean.len())?;
        let means = (&self.mean - &other.mean).norm_squared();
        let traces = self.covariance.trace() + other.covariance.trace();
        // Σ = R Rᵀ, and another root of Σ has the same singular values in the product.
        let product = negligible(root(&self.covariance).tr_mul(&root(&other.covariance)));
        let roots = product.singular_values().sum();
        match roots.is_finite() {
            true => Ok((means + traces - 2.0 * roots).max(0.0)),
            false => Err(QualityError::Decomposition),
        }
    }

    /// Returns the mean, d numbers.
    pub fn mean(&self) -> &[f64] {
        self.mean.as_slice()
    }

    /// Returns the covariance, d² numbers, row after row.
    pub fn covariance(&self) -> &[f64] {
        self.covariance.as_slice()
    }
}

/// Returns R of `Σ = R Rᵀ`.
fn root(covariance: &DMatrix<f64>) -> DMatrix<f64> {
    let SymmetricEigen { eigenvectors: mut root, eigenvalues } =
        SymmetricEigen::new(negligible(covariance.clone()));
    for (mut column, eigenvalue) in root.column_iter_mut().zip(&eigenvalues) {
        // It is not negative but for rounding.
        column *= if *eigenvalue < 0.0 { 0.0 } else { eigenvalue.sqrt() };
    }
    root
}

/// Sets numbers to 0 that are far below the rounding of the largest. nalgebra's decompositions are not
/// finite where the square of a number underflows.
fn negligible(mut matrix: DMatrix<f64>) -> DMatrix<f64> {
    let least = matrix.amax() * 1e-40;
    matrix.apply(|value| {
        if value.abs() < least {
            *value = 0.0;
        }
    });
    matrix
}

/// Removes the rounding that makes a matrix differ from its transpose.
fn symmetric(matrix: DMatrix<f64>) -> DMatrix<f64> {
    (&matrix + matrix.transpose()) * 0.5
}
