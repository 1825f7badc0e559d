//! Clothes drawn by a network.

use std::error::Error;

use ddm_core::denoiser::{Clipped, Parameterization};
use ddm_core::models::{Network, UNet};
use ddm_core::prelude::*;

use super::CLASSES;
use crate::labelled::{LabelledImages, labels};

/// Samples drawn at a time.
const AT_ONCE: usize = 250;

/// How to draw clothes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawing {
    /// The number of clothes.
    pub count: usize,
    /// Sampling steps.
    pub steps: usize,
    /// Guidance scale: 1 is none.
    pub guidance: f64,
    /// The seed.
    pub seed: u64,
}

impl Drawing {
    /// Draws clothes of all kinds in turn, with DPM-Solver++.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is out of range.
    pub fn of<P: Parameterization + Clone>(
        &self,
        network: &UNet,
        parameterization: P,
        schedule: &impl NoiseSchedule,
        device: &Device,
    ) -> Result<LabelledImages, Box<dyn Error>> {
        let levels = Trailing.levels(schedule, self.steps)?;
        let network = network.clone().prepare([AT_ONCE, 1, 28, 28])?;
        drawn(self.count, self.seed, device, |wanted, noise, shape| {
            let null = labels((0..shape[0]).map(|_| CLASSES as i32), device);
            let model = Model::new(&network, parameterization.clone());
            let model = ClassifierFree::new(model, wanted.into(), null.into(), self.guidance)?;
            let run = Sampling::new(Clipped::new(model, -1.0, 1.0)?, schedule);
            let run = run.sampler(DpmSolverPp::default()).levels(levels.clone());
            Ok(run.noise(noise).sample(shape, device)?)
        })
    }
}

/// Draws clothes of all kinds in turn, some at a time: `draw` gets their labels, their noise and their shape.
///
/// # Errors
///
/// Returns the errors of `draw`.
pub fn drawn(
    count: usize,
    seed: u64,
    device: &Device,
    draw: impl Fn(Tensor<1, Int>, HostNoise, [usize; 4]) -> Result<Tensor<4>, Box<dyn Error>>,
) -> Result<LabelledImages, Box<dyn Error>> {
    let wanted = labels((0..count).map(|i| (i % CLASSES) as i32), device);
    let mut images = Vec::new();
    for first in (0..count).step_by(AT_ONCE) {
        let batch = AT_ONCE.min(count - first);
        let noise = HostNoise::new(seed).starting_at(first as u64);
        images.push(draw(wanted.clone().narrow(0, first, batch), noise, [batch, 1, 28, 28])?);
    }
    Ok(LabelledImages { images: Tensor::cat(images, 0).clamp(-1.0, 1.0), labels: wanted })
}
