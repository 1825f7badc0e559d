//! A batch, and its tensors.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{DataError, Sample, Skipped, Values};

/// The items of one step.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Batch<I> {
    /// The step, from 0, over all epochs.
    pub step: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The index of each item, as it was read.
    pub indices: Vec<usize>,
    /// The name of each item.
    pub names: Vec<String>,
    /// The items.
    pub items: Vec<I>,
    /// The corrupt items in whose place others were read.
    pub skipped: Vec<Skipped>,
}

impl<X: Values, C> Batch<Sample<X, C>> {
    /// Returns the data as a tensor in f32, `[batch, …]`; images as `[batch, channels, height,
    /// width]` in [−1, 1].
    ///
    /// # Errors
    ///
    /// Returns an error that names the item if a value is not finite or the shapes differ; and if
    /// the batch is empty or the rank is another.
    pub fn data<const D: usize>(&self, device: &Device) -> Result<Tensor<D>, DataError> {
        let Some(first) = self.items.first() else {
            return Err(DataError::Empty { what: "the batch".into(), hint: "plan items for it" });
        };
        let shape = first.data.shape();
        if shape.len() + 1 != D {
            return Err(DataError::Rank { shape, rank: D });
        }
        let mut values = Vec::new();
        for (sample, name) in self.items.iter().zip(&self.names) {
            let found = sample.data.shape();
            if found != shape {
                let first = self.names[0].clone();
                return Err(DataError::Shape { item: name.clone(), found, first, expected: shape });
            }
            let start = values.len();
            sample.data.append(&mut values);
            if start == 0 {
                values.reserve_exact(values.len() * (self.items.len() - 1));
            }
            DataError::require_values(&shape, values.len() - start)?;
            if let Some(at) = values[start..].iter().position(|value| !value.is_finite()) {
                let (item, value) = (name.clone(), values[start + at]);
                return Err(DataError::NotFinite { item, at: indices(at, &shape), value });
            }
        }
        let shape: Vec<_> = std::iter::once(self.items.len()).chain(shape).collect();
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}

impl<X> Batch<Sample<X, usize>> {
    /// Returns the labels, `[batch]`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the item if a label is not below the number of classes.
    pub fn labels(&self, classes: usize, device: &Device) -> Result<Tensor<1, Int>, DataError> {
        let mut labels = Vec::new();
        for (sample, name) in self.items.iter().zip(&self.names) {
            let label = sample.condition;
            let number = i32::try_from(label).ok().filter(|_| label < classes);
            labels.push(number.ok_or(DataError::Label { item: name.clone(), label, classes })?);
        }
        let batch = labels.len();
        Ok(Tensor::from_data(TensorData::new(labels, [batch]), device))
    }
}

impl<X> Batch<Sample<X, String>> {
    /// Returns the captions.
    pub fn captions(&self) -> Vec<&str> {
        self.items.iter().map(|sample| sample.condition.as_str()).collect()
    }
}

/// Returns the indices of the element at this offset.
fn indices(mut offset: usize, shape: &[usize]) -> Vec<usize> {
    let mut indices = vec![0; shape.len()];
    for (index, &size) in indices.iter_mut().zip(shape).rev() {
        (*index, offset) = (offset % size, offset / size);
    }
    indices
}
