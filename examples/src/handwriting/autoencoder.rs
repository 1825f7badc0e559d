//! The training of an autoencoder of digits.

use std::error::Error;

use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::models::{Vae, VaeConfig};
use ddm_core::prelude::*;
use ddm_core::train::Trained;

use super::BATCH;
use crate::labelled::LabelledImages;
use crate::progress::training_bar;

/// Trains an autoencoder for `epochs` passes over `digits`: reconstruction, and `kl_weight` times the
/// KL divergence of its posterior from N(0, I).
///
/// # Errors
///
/// Returns an error if the config is invalid, `epochs` is 0 or the loss diverges.
pub fn train_autoencoder(
    config: &VaeConfig,
    kl_weight: f64,
    digits: &LabelledImages,
    epochs: usize,
    seed: u64,
) -> Result<Trained<Vae>, Box<dyn Error>> {
    let device = digits.images.device().autodiff();
    let digits = digits.to_device(&device);
    let steps = epochs * digits.len().div_ceil(BATCH);
    let training = Training { steps, ema_decay: 0.995, seed };
    let rate = CosineAnnealingLrSchedulerConfig::new(2e-3, steps.max(1)).init()?;
    let loss = |vae: &Vae, noise: &mut StepNoise| {
        let images = digits.batch(BATCH, noise).images;
        let epsilon = noise.draw(vae.latent_shape(images.dims())?, &device);
        Ok(vae.loss(images, epsilon, kl_weight)?.total)
    };
    let (network, optimizer) = (config.init(&device)?, AdamWConfig::new().init());
    Ok(training.run_with(network, optimizer, rate, loss, training_bar())?)
}
