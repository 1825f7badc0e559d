//! Data that become tensors.

use crate::DataError;

/// Data of one item that become a part of a tensor: an [`Image`](crate::Image), an [`Array`], or
/// a `Vec` or array of `f32`.
pub trait Values {
    /// Returns the shape, without the batch.
    fn shape(&self) -> Vec<usize>;

    /// Appends the values, row by row, as many as the shape says.
    fn append(&self, values: &mut Vec<f32>);
}

/// Numbers of any shape, such as a latent.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    /// Creates an array of this shape, row by row.
    ///
    /// # Errors
    ///
    /// Returns an error if the number of values is another than that of the shape.
    pub fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Result<Self, DataError> {
        let shape = shape.into();
        DataError::require_values(&shape, values.len())?;
        Ok(Self { shape, values })
    }
}

impl Values for Array {
    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn append(&self, values: &mut Vec<f32>) {
        values.extend(&self.values);
    }
}

impl Values for Vec<f32> {
    fn shape(&self) -> Vec<usize> {
        vec![self.len()]
    }

    fn append(&self, values: &mut Vec<f32>) {
        values.extend(self);
    }
}

impl<const N: usize> Values for [f32; N] {
    fn shape(&self) -> Vec<usize> {
        vec![N]
    }

    fn append(&self, values: &mut Vec<f32>) {
        values.extend(self);
    }
}
