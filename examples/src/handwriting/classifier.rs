//! A small classifier of real digits, to evaluate samples.

use ddm_core::burn;
use ddm_core::burn::module::Module;
use ddm_core::burn::nn::loss::CrossEntropyLossConfig;
use ddm_core::burn::nn::{Linear, LinearConfig};
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::tensor::activation::relu;
use ddm_core::prelude::*;
use ddm_core::train::TrainError;

use super::BATCH;
use crate::labelled::LabelledImages;
use crate::quality::Reader;

/// A classifier of 64 pixels with two layers.
#[derive(Module, Debug)]
pub struct Classifier {
    hidden: Linear,
    output: Linear,
}

impl Classifier {
    /// Trains on these digits, with a little noise against memorization.
    ///
    /// # Errors
    ///
    /// Returns an error if the loss diverges.
    pub fn trained_on(digits: &LabelledImages, seed: u64) -> Result<Self, TrainError> {
        let device = digits.images.device().autodiff();
        let digits = digits.to_device(&device);
        let network = Self {
            hidden: LinearConfig::new(64, 256).init(&device),
            output: LinearConfig::new(256, 10).init(&device),
        };
        let cross_entropy = CrossEntropyLossConfig::new().init(&device);
        let training = Training { steps: 600, ema_decay: 0.99, seed };
        let trained =
            training.run(network, AdamWConfig::new().init(), 2e-3, |network, noise| {
                let batch = digits.batch(BATCH, noise);
                let speckle = noise.draw(batch.images.dims(), &device) * 0.2;
                Ok(cross_entropy.forward(network.logits(batch.images + speckle), batch.labels))
            })?;
        Ok(trained.average)
    }

    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.output.forward(self.features(images))
    }
}

impl Reader for Classifier {
    /// The first layer, `[n, 256]`.
    fn features(&self, images: Tensor<4>) -> Tensor<2> {
        relu(self.hidden.forward(images.flatten(1, 3)))
    }

    fn read(&self, images: Tensor<4>) -> Tensor<1, Int> {
        self.logits(images).argmax(1).squeeze_dim(1)
    }
}
