//! What all trainings on clothes share: the data, the optimizer, and how samples are drawn.

use std::error::Error;

use ddm_core::burn::grad_clipping::GradientClippingConfig;
use ddm_core::burn::module::{Module, ModuleDisplay};
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::data::{Idx, Loader, Order, Source};
use ddm_core::denoiser::{Clipped, Conditioned};
use ddm_core::models::{Network, UNet};
use ddm_core::prelude::*;
use ddm_core::samplers::Sampler;
use ddm_core::schedule::Levels;
use ddm_core::train::TrainError;
use ddm_examples::clothes::{CLASSES, drawn};
use ddm_examples::labelled::LabelledImages;
use ddm_examples::progress::training_bar;

use crate::Args;

/// Images in a batch.
const BATCH: usize = 64;
/// The shape of a batch of images.
pub(crate) const SHAPE: [usize; 4] = [BATCH, 1, 28, 28];

pub(crate) struct Lab<'a> {
    pub(crate) args: &'a Args,
    pub(crate) schedule: Cosine,
    /// The device to train on.
    pub(crate) taped: Device,
    loader: Loader<Idx, Order>,
    device: Device,
}

impl<'a> Lab<'a> {
    pub(crate) fn new(
        args: &'a Args,
        clothes: Idx,
        device: &Device,
    ) -> Result<Self, Box<dyn Error>> {
        let order = Order::new(clothes.len(), BATCH.min(clothes.len()), args.seed + 1)?;
        let loader = Loader::new(clothes, order)?;
        let (taped, device) = (device.clone().autodiff(), device.clone());
        Ok(Self { args, schedule: Cosine::default(), taped, loader, device })
    }

    /// Returns the training steps of a student that starts with its teacher's weights.
    pub(crate) fn steps(&self) -> usize {
        self.args.student_steps.unwrap_or(600)
    }

    /// Returns the images and labels of a training step.
    pub(crate) fn batch(
        &self,
        noise: &StepNoise,
    ) -> Result<(Tensor<4>, Tensor<1, Int>), TrainError> {
        let batch = self.loader.batch(noise.batch_number()).map_err(TrainError::batch)?;
        let images = batch.data(&self.taped).map_err(TrainError::batch)?;
        Ok((images, batch.labels(CLASSES, &self.taped).map_err(TrainError::batch)?))
    }

    /// Trains a network and returns the average of its weights.
    pub(crate) fn train<M: Module + ModuleDisplay>(
        &self,
        network: M,
        steps: usize,
        rate: f64,
        loss: impl FnMut(&M, &mut StepNoise) -> Result<Tensor<1>, TrainError>,
    ) -> Result<M, Box<dyn Error>> {
        let ema_decay = if steps > self.steps() { 0.995 } else { 0.98 };
        let training = Training { steps, ema_decay, seed: self.args.seed };
        let adam = AdamWConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)));
        let rate = CosineAnnealingLrSchedulerConfig::new(rate, steps).init()?;
        match training.run_with(network, adam.init(), rate, loss, training_bar()) {
            Ok(trained) => Ok(trained.average),
            Err(stopped) => Err(TrainError::from(stopped).into()),
        }
    }

    /// Draws clothes of all kinds with a network of v.
    pub(crate) fn draw(
        &self,
        network: &UNet,
        levels: Levels,
        sampler: impl Sampler<4> + Clone,
    ) -> Result<LabelledImages, Box<dyn Error>> {
        let (network, args) = (network.clone().prepare(SHAPE)?, self.args);
        drawn(args.samples.unwrap_or(1000), args.seed, &self.device, |wanted, noise, shape| {
            let model = Model::new(Conditioned::new(&network, wanted.into()), VPrediction);
            let run = Sampling::new(Clipped::new(model, -1.0, 1.0)?, &self.schedule);
            let run = run.sampler(sampler.clone()).levels(levels.clone());
            Ok(run.noise(noise).sample(shape, &self.device)?)
        })
    }
}
