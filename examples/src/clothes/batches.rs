//! Batches of clothes to train on.

use ddm_core::data::{DataError, Idx, Loader, Order, Source};
use ddm_core::denoiser::Parameterization;
use ddm_core::models::UNet;
use ddm_core::prelude::*;
use ddm_core::train::{
    ConditionDropout, SampleLosses, StepNoise, TimeSampling, TrainError, Weighting,
};

use super::CLASSES;

/// Batches of clothes in an order of their own, one for each step of a training.
#[derive(Debug)]
pub struct ClothesBatches {
    loader: Loader<Idx, Order>,
    dropout: ConditionDropout,
    device: Device,
}

impl ClothesBatches {
    /// Creates batches of `size` clothes, on `device`. A tenth of the labels is left out, for guidance.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no clothes, or the size is 0.
    pub fn new(clothes: Idx, size: usize, seed: u64, device: &Device) -> Result<Self, DataError> {
        let order = Order::new(clothes.len(), size, seed)?;
        let dropout = ConditionDropout::new(0.1).expect("a tenth is a probability");
        Ok(Self { loader: Loader::new(clothes, order)?, dropout, device: device.clone() })
    }

    /// Returns the losses of a step.
    ///
    /// # Errors
    ///
    /// Returns an error if the batch cannot be read.
    pub fn losses<S: NoiseSchedule, P: Parameterization, W: Weighting, T: TimeSampling>(
        &self,
        objective: &Objective<S, P, W, T>,
        network: &UNet,
        noise: &mut StepNoise,
    ) -> Result<SampleLosses, TrainError> {
        let batch = self.loader.batch(noise.batch_number()).map_err(TrainError::batch)?;
        let images = batch.data::<4>(&self.device).map_err(TrainError::batch)?;
        let labels = batch.labels(CLASSES, &self.device).map_err(TrainError::batch)?;
        let null = network.null_classes(images.dims()[0], &self.device);
        let labels = self.dropout.apply(labels.into(), null, noise)?;
        let example = objective.draw(images, noise)?;
        let found = network.predict_with(example.x_t.clone(), example.t.clone(), labels);
        example.sample_losses(found)
    }
}
