//! Random numbers addressed by the seed and the step, so that a step needs no history.

use std::ops::{Deref, DerefMut};

use burn::tensor::{Device, Tensor};
use ddm_noise::{HostNoise, NoiseError, NoiseSource, Stream};
use rand::Rng;

/// The noise of a training step, with the number of the step: its batch, times and ε are drawn from it.
///
/// It is a function of the seed and the number, and it is a [`HostNoise`] in all else.
///
/// ```
/// use ddm_train::StepNoise;
/// let mut noise = StepNoise::new(7, 3);
/// assert_eq!(noise.number(), 3);
/// let numbers = noise.uniform(2);
/// assert_eq!(StepNoise::new(7, 3).uniform(2), numbers);
/// assert_ne!(StepNoise::new(7, 4).uniform(2), numbers);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepNoise {
    number: usize,
    noise: HostNoise,
}

impl StepNoise {
    /// Creates the noise of a step, counted from 1.
    pub fn new(seed: u64, step: usize) -> Self {
        let noise = HostNoise::new(seed).stream(Stream::Training).fork(&step.to_string());
        Self { number: step, noise }
    }

    /// Returns the number of the step, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the next draw, uniform on [0, 1): one number per sample. This source cannot fail.
    pub fn uniform(&mut self, samples: usize) -> Vec<f64> {
        self.noise.uniform(samples)
    }

    /// Seeds the generators of devices, which dropout uses. They cannot be read, so that a training that
    /// is resumed could not continue them.
    pub fn seed_devices(&self, devices: &[Device]) {
        for (device, mut rng) in devices.iter().zip(self.fork("device").rngs(devices.len())) {
            device.seed(rng.next_u64());
        }
    }
}

impl Deref for StepNoise {
    type Target = HostNoise;

    fn deref(&self) -> &HostNoise {
        &self.noise
    }
}

impl DerefMut for StepNoise {
    fn deref_mut(&mut self) -> &mut HostNoise {
        &mut self.noise
    }
}

impl NoiseSource for StepNoise {
    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        self.noise.normal(shape, device)
    }

    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
        Ok(self.noise.uniform(samples))
    }

    fn switch_to(&mut self, stream: Stream) {
        self.noise.switch_to(stream);
    }
}
