//! A small classifier of clothes, whose features samples are compared by.

use ddm_core::burn;
use ddm_core::burn::module::Module;
use ddm_core::burn::nn::conv::{Conv2d, Conv2dConfig};
use ddm_core::burn::nn::loss::CrossEntropyLossConfig;
use ddm_core::burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::burn::tensor::DType;
use ddm_core::burn::tensor::activation::relu;
use ddm_core::data::{Idx, Loader, Order, Source};
use ddm_core::prelude::*;
use ddm_core::train::TrainError;
use ddm_core::weights::{LoadOptions, Tensors, WeightsError, load};

use super::CLASSES;
use crate::progress::training_bar;
use crate::quality::Reader;

/// The weights that the example `fashion_classifier` trained.
static TRAINED: &[u8] = include_bytes!("../../assets/fashion-classifier.safetensors");

/// A classifier of clothes `[n, 1, 28, 28]` with two convolutions and two layers.
#[derive(Module, Debug)]
pub struct ClothesClassifier {
    first: Conv2d,
    second: Conv2d,
    hidden: Linear,
    output: Linear,
}

impl ClothesClassifier {
    /// Clothes in a batch while training.
    const BATCH: usize = 128;

    /// Returns the classifier with random weights.
    pub fn new(device: &Device) -> Self {
        let halving = |from, to| {
            let config = Conv2dConfig::new([from, to], [3, 3]).with_stride([2, 2]);
            config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
        };
        Self {
            first: halving(1, 16),
            second: halving(16, 32),
            hidden: LinearConfig::new(32 * 7 * 7, 64).init(device),
            output: LinearConfig::new(64, CLASSES).init(device),
        }
    }

    /// Returns the classifier that comes with the examples.
    ///
    /// # Errors
    ///
    /// Returns an error if the weights do not fit, which would be a fault of this crate.
    pub fn trained(device: &Device) -> Result<Self, WeightsError> {
        let tensors = Tensors::from_bytes(TRAINED.to_vec())?;
        load(Self::new(device), &tensors, &LoadOptions::new().with_float(DType::F32))
    }

    /// Trains on these clothes, with a little noise against memorization.
    ///
    /// # Errors
    ///
    /// Returns an error if a batch cannot be made or the loss diverges.
    pub fn trained_on(
        clothes: &Idx,
        epochs: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let device = device.clone().autodiff();
        let order = Order::new(clothes.len(), Self::BATCH, seed)?;
        let loader = Loader::new(clothes.clone(), order)?;
        let steps = epochs * clothes.len() / Self::BATCH;
        let rate = CosineAnnealingLrSchedulerConfig::new(2e-3, steps.max(1)).init()?;
        let cross_entropy = CrossEntropyLossConfig::new().init(&device);
        let training = Training { steps, ema_decay: 0.995, seed };
        let loss = |network: &Self, noise: &mut StepNoise| {
            let batch = loader.batch(noise.number() as u64 - 1).map_err(TrainError::batch)?;
            let images = batch.data::<4>(&device).map_err(TrainError::batch)?;
            let labels = batch.labels(CLASSES, &device).map_err(TrainError::batch)?;
            let speckle = noise.draw(images.dims(), &device) * 0.1;
            Ok(cross_entropy.forward(network.logits(images + speckle), labels))
        };
        let (network, adam) = (Self::new(&device), AdamWConfig::new().init());
        Ok(training.run_with(network, adam, rate, loss, training_bar())?.average)
    }

    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.output.forward(self.features(images))
    }
}

impl Reader for ClothesClassifier {
    /// The layer before the last, `[n, 64]`.
    fn features(&self, images: Tensor<4>) -> Tensor<2> {
        let images = relu(self.second.forward(relu(self.first.forward(images))));
        relu(self.hidden.forward(images.flatten(1, 3)))
    }

    fn read(&self, images: Tensor<4>) -> Tensor<1, Int> {
        self.logits(images).argmax(1).squeeze_dim(1)
    }
}
