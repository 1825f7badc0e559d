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
        let wanted = labels((0..self.count).map(|i| (i % CLASSES) as i32), device);
        let mut images = Vec::new();
        for first in (0..self.count).step_by(AT_ONCE) {
            let batch = AT_ONCE.min(self.count - first);
            let wanted = wanted.clone().narrow(0, first, batch);
            let null = labels((0..batch).map(|_| CLASSES as i32), device);
            let model = Model::new(&network, parameterization.clone());
            let model = ClassifierFree::new(model, wanted.into(), null.into(), self.guidance)?;
            let run = Sampling::new(Clipped::new(model, -1.0, 1.0)?, schedule);
            let run = run.sampler(DpmSolverPp::default()).levels(levels.clone());
            let noise = HostNoise::new(self.seed).starting_at(first as u64);
            images.push(run.noise(noise).sample([batch, 1, 28, 28], device)?);
        }
        Ok(LabelledImages { images: Tensor::cat(images, 0).clamp(-1.0, 1.0), labels: wanted })
    }
}
