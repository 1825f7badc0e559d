//! A U-Net for digits, with any parameterization.

use std::error::Error;

use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::denoiser::Parameterization;
use ddm_core::models::UNet;
use ddm_core::prelude::*;
use ddm_core::train::{ConditionDropout, Trained, Weighting};

use super::BATCH;
use crate::labelled::LabelledImages;
use crate::progress::training_bar;

/// Returns the config of the U-Net for digits: two resolutions, one class per digit.
pub fn unet() -> UNetConfig {
    UNetConfig::new(1, 1).with_channels(vec![32, 64]).with_classes(Some(10))
}

/// Trains a [`unet`] for `epochs` passes over `digits`, with the labels dropped one time in ten.
///
/// # Errors
///
/// Returns an error if `epochs` is 0 or the loss diverges.
pub fn train(
    objective: &Objective<impl NoiseSchedule, impl Parameterization, impl Weighting>,
    digits: &LabelledImages,
    epochs: usize,
    seed: u64,
) -> Result<Trained<UNet>, Box<dyn Error>> {
    train_unet(&unet(), objective, digits, epochs, seed)
}

/// As [`train`], with a U-Net of this config; the digits may be latents.
///
/// # Errors
///
/// Returns an error if the config is invalid, and as there.
pub fn train_unet(
    config: &UNetConfig,
    objective: &Objective<impl NoiseSchedule, impl Parameterization, impl Weighting>,
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
    let loss = |network: &UNet, noise: &mut StepNoise| {
        let batch = digits.batch(BATCH, noise);
        let labels = dropout.apply(batch.labels.into(), null.clone(), noise)?;
        objective.loss_with(network, batch.images, labels, noise)
    };
    let optimizer = AdamWConfig::new().init();
    Ok(training.run_with(network, optimizer, rate, loss, training_bar())?)
}

/// Returns the network as a denoiser that follows the wanted labels, by classifier-free guidance.
///
/// # Errors
///
/// Returns an error if the scale is not finite.
pub fn guided<P: Parameterization>(
    unet: &UNet,
    parameterization: P,
    wanted: Tensor<1, Int>,
    scale: f64,
) -> Result<impl Denoiser<4>, ModelError> {
    let null = unet.null_classes(wanted.dims()[0], &wanted.device());
    ClassifierFree::new(Model::new(unet, parameterization), wanted.into(), null, scale)
}
