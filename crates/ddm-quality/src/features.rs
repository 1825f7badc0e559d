//! A set of samples as rows of numbers.

use std::ops::Range;

use burn::tensor::Tensor;
use ddm_schedule::Invalid;

use crate::QualityError;

/// The largest magnitude of a feature: far above any real one, and small enough that no measure
/// overflows.
pub(crate) const LARGEST: f64 = 1e30;

/// A set of samples: rows of `width` finite numbers each.
///
/// The rows are what a network says about the samples (the layer before the logits of a classifier,
/// usually), or the samples themselves, if they are points or small images. Distances between sets mean
/// something only if both have the same features.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_quality::Features;
/// let images = Tensor::<4>::ones([10, 3, 8, 8], &Device::flex());
/// // Any network that gives a row for each image; here, the mean of each channel.
/// let means = |batch: Tensor<4>| batch.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2);
/// let features = Features::of(images, 4, means)?;
/// assert_eq!((features.rows(), features.width()), (10, 3));
/// # Ok::<(), ddm_quality::QualityError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    values: Vec<f64>,
    width: usize,
}

impl Features {
    /// Creates the set of the rows of a tensor `[n, d]`, read from its device.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Empty`] without rows or columns, [`QualityError::NotFinite`] if a number
    /// is not finite or beyond ±1e30, and [`QualityError::Unreadable`] if the device fails.
    pub fn new(rows: Tensor<2>) -> Result<Self, QualityError> {
        let [n, width] = rows.dims();
        let values = rows
            .try_into_vec_as::<f64>()
            .map_err(|error| QualityError::Unreadable { reason: error.to_string() })?;
        Self::from_values(n, width, values)
    }

    /// Creates the set of `rows` rows of `width` numbers, row after row.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Empty`] without rows or columns, [`QualityError::Length`] if there are
    /// not `rows · width` numbers, and [`QualityError::NotFinite`] if one is not finite or beyond ±1e30.
    pub fn from_values(rows: usize, width: usize, values: Vec<f64>) -> Result<Self, QualityError> {
        if rows == 0 || width == 0 {
            return Err(QualityError::Empty { rows, width });
        }
        if rows.checked_mul(width) != Some(values.len()) {
            return Err(QualityError::Length { found: values.len(), rows, width });
        }
        let fits = |value: &f64| value.abs() <= LARGEST;
        match values.iter().position(|value| !fits(value)) {
            Some(at) => {
                let (row, column) = (at / width, at % width);
                Err(QualityError::NotFinite { row, column, value: values[at] })
            }
            None => Ok(Self { values, width }),
        }
    }

    /// Creates the features of images (or other samples, `[n, …]`) by a network that maps a batch of
    /// them to rows `[batch, d]`, `batch` of them at a time.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Invalid`] if `batch` is 0, [`QualityError::Batch`] if the network returns
    /// another number of rows than it was given, [`QualityError::Widths`] if the rows of two batches
    /// differ in width, and the errors of [`new`](Self::new). The row of an error counts from the first
    /// image.
    pub fn of<const D: usize>(
        images: Tensor<D>,
        batch: usize,
        mut network: impl FnMut(Tensor<D>) -> Tensor<2>,
    ) -> Result<Self, QualityError> {
        Invalid::require(batch > 0, "the batch of the features", batch as f64, "1 or more")?;
        let n = images.dims()[0];
        let mut all: Option<Self> = None;
        for start in (0..n).step_by(batch) {
            let count = batch.min(n - start);
            let rows = network(images.clone().narrow(0, start, count));
            if rows.dims()[0] != count {
                return Err(QualityError::Batch { found: rows.dims()[0], images: count });
            }
            let rows = Self::new(rows).map_err(|error| match error {
                QualityError::NotFinite { row, column, value } => {
                    QualityError::NotFinite { row: row + start, column, value }
                }
                other => other,
            })?;
            all = Some(match all {
                Some(before) => before.joined(rows)?,
                None => rows,
            });
        }
        all.ok_or(QualityError::Empty { rows: 0, width: 0 })
    }

    /// Returns these rows followed by others, for sets that come in parts.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Widths`] if the widths differ.
    pub fn joined(mut self, others: Self) -> Result<Self, QualityError> {
        QualityError::require_widths(self.width, others.width)?;
        self.values.extend(others.values);
        Ok(self)
    }

    /// Returns some of the rows, to compare sets of the same size.
    ///
    /// # Errors
    ///
    /// Returns [`QualityError::Range`] if the range is empty or ends after the last row.
    pub fn part(&self, range: Range<usize>) -> Result<Self, QualityError> {
        let (Range { start, end }, rows) = (range, self.rows());
        if start >= end || end > rows {
            return Err(QualityError::Range { start, end, rows });
        }
        let values = self.values[start * self.width..end * self.width].to_vec();
        Ok(Self { values, width: self.width })
    }

    /// Returns the number of rows, n.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// Returns the number of features of each row, d.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.width)
    }

    /// Returns all numbers, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Returns the rows of these indices, which lie in the set; there is at least one.
    pub(crate) fn picked(&self, indices: &[usize]) -> Self {
        let rows = indices.iter().map(|index| index * self.width);
        let values = rows.flat_map(|at| self.values[at..at + self.width].iter().copied()).collect();
        Self { values, width: self.width }
    }
}
