//! An image of bytes.

use std::fmt;

use crate::{DataError, Values};

/// An image of bytes, plane by plane: `[channels, height, width]`. As [`Values`], a byte v is
/// v / 127.5 − 1, in [−1, 1].
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    shape: [usize; 3],
    bytes: Vec<u8>,
}

impl Image {
    /// Creates an image of shape `[channels, height, width]`.
    ///
    /// # Errors
    ///
    /// Returns an error if the number of bytes is another than that of the shape.
    pub fn new(shape: [usize; 3], bytes: Vec<u8>) -> Result<Self, DataError> {
        DataError::require_values(&shape, bytes.len())?;
        Ok(Self { shape, bytes })
    }

    /// Returns `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Returns the bytes, plane by plane, row by row.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Values for Image {
    fn shape(&self) -> Vec<usize> {
        self.shape.to_vec()
    }

    fn append(&self, values: &mut Vec<f32>) {
        values.extend(self.bytes.iter().map(|&byte| f32::from(byte) / 127.5 - 1.0));
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("shape", &self.shape).finish_non_exhaustive()
    }
}
