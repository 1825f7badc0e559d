//! Images with labels, as tensors.

use std::ops::Range;

use ddm_core::prelude::*;

use crate::pictures::spread;

/// Images `[n, channels, height, width]` in [−1, 1] and their labels `[n]`.
#[derive(Clone, Debug)]
pub struct LabelledImages {
    /// The pixels, −1 for paper and 1 for ink.
    pub images: Tensor<4>,
    /// The label of each image.
    pub labels: Tensor<1, Int>,
}

impl LabelledImages {
    /// Returns a run of them.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let images = self.images.clone().narrow(0, range.start, range.len());
        Self { images, labels: self.labels.clone().narrow(0, range.start, range.len()) }
    }

    /// Returns `count` of them, evenly spaced, so that all parts of a data set are among them; or all, if there are
    /// no more.
    #[must_use]
    pub fn thinned(&self, count: usize) -> Self {
        let rows: Vec<i32> = spread(self.len(), count).into_iter().map(|row| row as i32).collect();
        self.chosen(Tensor::from_data(rows.as_slice(), &self.images.device()))
    }

    /// Returns those of these indices.
    #[must_use]
    pub fn chosen(&self, indices: Tensor<1, Int>) -> Self {
        let images = self.images.clone().select(0, indices.clone());
        Self { images, labels: self.labels.clone().select(0, indices) }
    }

    /// Returns the same on another device.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> Self {
        let (images, labels) = (self.images.clone(), self.labels.clone());
        Self { images: images.to_device(device), labels: labels.to_device(device) }
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.labels.dims()[0]
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a batch drawn uniformly with replacement.
    #[must_use]
    pub fn batch(&self, size: usize, noise: &mut HostNoise) -> Self {
        let rows: Vec<i32> =
            noise.uniform(size).iter().map(|u| (u * self.len() as f64) as i32).collect();
        self.chosen(Tensor::from_data(rows.as_slice(), &self.images.device()))
    }
}

/// Returns labels as a tensor.
pub fn labels(of: impl Iterator<Item = i32>, device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(of.collect::<Vec<_>>().as_slice(), device)
}
