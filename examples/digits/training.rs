//! Batches of digits, and training the U-Net on them.

use std::error::Error;
use std::ops::Range;

use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::burn::tensor::TensorData;
use ddm_core::prelude::*;
use ddm_examples::data::Digits;

pub(crate) const BATCH: usize = 128;

/// Digits `[n, 1, 8, 8]` in [−1, 1] and their labels `[n]`.
#[derive(Clone)]
pub(crate) struct LabelledImages {
    pub(crate) images: Tensor<4>,
    pub(crate) labels: Tensor<1, Int>,
}

impl LabelledImages {
    pub(crate) fn new(digits: &Digits, device: &Device) -> Self {
        let shape = [digits.len(), 1, Digits::SIDE, Digits::SIDE];
        let images = Tensor::from_data(TensorData::new(digits.images.clone(), shape), device);
        let labels: Vec<i32> = digits.labels.iter().map(|&label| label.into()).collect();
        Self { images, labels: Tensor::from_data(labels.as_slice(), device) }
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let images = self.images.clone().narrow(0, range.start, range.len());
        Self { images, labels: self.labels.clone().narrow(0, range.start, range.len()) }
    }

    pub(crate) fn to_device(&self, device: &Device) -> Self {
        let (images, labels) = (self.images.clone(), self.labels.clone());
        Self { images: images.to_device(device), labels: labels.to_device(device) }
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.dims()[0]
    }

    /// A batch drawn with replacement: each digit as likely as the other.
    pub(crate) fn batch(&self, size: usize, noise: &mut HostNoise) -> Self {
        let rows: Vec<i32> =
            noise.uniform(size).iter().map(|u| (u * self.len() as f64) as i32).collect();
        let rows = Tensor::<1, Int>::from_data(rows.as_slice(), &self.images.device());
        let images = self.images.clone().select(0, rows.clone());
        Self { images, labels: self.labels.clone().select(0, rows) }
    }
}

/// A U-Net of this configuration, trained for so many passes over `digits`.
pub(crate) fn train(
    config: &UNetConfig,
    objective: &Objective<'_, VPrediction, MinSnr>,
    digits: &LabelledImages,
    epochs: usize,
    seed: u64,
) -> Result<Trained<UNet>, Box<dyn Error>> {
    let device = digits.images.device().autodiff();
    let digits = digits.to_device(&device);
    let steps = epochs * digits.len().div_ceil(BATCH);
    let training = Training { steps, ema_decay: 0.995, seed };
    let rate = CosineAnnealingLrSchedulerConfig::new(2e-3, steps.max(1)).init()?;
    let dropout = ConditionDropout::new(0.1)?;
    let network = config.init(&device)?;
    let null = network.null_classes(BATCH, &device);
    let trained = training.run(network, AdamWConfig::new().init(), rate, |network, noise| {
        let batch = digits.batch(BATCH, noise);
        let labels = dropout.apply(batch.labels, null.clone(), noise);
        let example = objective.draw(batch.images, noise);
        let answer = network.predict_with(example.x_t.clone(), example.t.clone(), labels);
        example.loss(answer)
    })?;
    Ok(trained)
}
