//! Digits as tensors.

use ddm_core::burn::tensor::TensorData;
use ddm_core::prelude::*;

use crate::data::Digits;
use crate::labelled::{LabelledImages, labels};

impl LabelledImages {
    /// Creates the tensors of these digits on a device.
    pub fn of_digits(digits: &Digits, device: &Device) -> Self {
        let shape = [digits.len(), 1, Digits::SIDE, Digits::SIDE];
        let images = Tensor::from_data(TensorData::new(digits.images.clone(), shape), device);
        Self { images, labels: labels(digits.labels.iter().map(|&label| label.into()), device) }
    }

    /// Returns the training digits, and the last sixth, by other writers, held out.
    pub fn split(digits: &Digits, device: &Device) -> (Self, Self) {
        let seen = digits.len() - digits.len() / 6;
        let all = Self::of_digits(digits, device);
        (all.slice(0..seen), all.slice(seen..digits.len()))
    }
}
