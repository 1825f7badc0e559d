//! Random numbers addressed by the seed and the step, so that a step needs no history.

use std::ops::{Deref, DerefMut};

use burn::tensor::{Device, Tensor};
use ddm_noise::{HostNoise, NoiseError, NoiseSource, Stream};
use rand::Rng;
use rand::rngs::Xoshiro256PlusPlus;

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
/// // Two devices see what one sees with twice the batch.
/// assert_eq!(StepNoise::new(7, 3).for_part(0, 2).uniform(1), numbers[..1]);
/// assert_eq!(StepNoise::new(7, 3).for_part(1, 2).uniform(1), numbers[1..]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepNoise {
    number: usize,
    part: usize,
    parts: usize,
    noise: HostNoise,
}

impl StepNoise {
    /// Creates the noise of a step, counted from 1.
    pub fn new(seed: u64, step: usize) -> Self {
        let noise = HostNoise::new(seed).stream(Stream::Training).fork(&step.to_string());
        Self { number: step, part: 0, parts: 1, noise }
    }

    /// Returns the noise of one of several equal parts of the batch, from 0: a draw for B samples is
    /// that of the rows from `part · B` on.
    #[must_use]
    pub fn for_part(self, part: usize, parts: usize) -> Self {
        Self { part, parts, ..self }
    }

    /// Returns the number of the step, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the number of this part of the batch, from 0; 0 where one device has it all.
    pub fn part(&self) -> usize {
        self.part
    }

    /// Returns the number of equal parts of the batch; 1 where one device has it all.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Returns the number of the batch that this part loads from a data set, from 0:
    /// `(number − 1) · parts + part`.
    ///
    /// ```
    /// use ddm_train::StepNoise;
    /// assert_eq!(StepNoise::new(7, 3).batch_number(), 2);
    /// assert_eq!(StepNoise::new(7, 3).for_part(1, 2).batch_number(), 5);
    /// ```
    pub fn batch_number(&self) -> u64 {
        (self.number as u64).saturating_sub(1) * self.parts as u64 + self.part as u64
    }

    /// Returns the next draw, uniform on [0, 1): one number per sample. This source cannot fail.
    pub fn uniform(&mut self, samples: usize) -> Vec<f64> {
        self.rows(samples).uniform(samples)
    }

    /// Returns the next draw as random generators, one per sample; see [`HostNoise::rngs`].
    pub fn rngs(
        &mut self,
        samples: usize,
    ) -> impl ExactSizeIterator<Item = Xoshiro256PlusPlus> + use<> {
        self.rows(samples).rngs(samples)
    }

    /// Returns an independent source at draw 0, for the same part; see [`HostNoise::fork`].
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        Self { noise: self.noise.fork(label), ..*self }
    }

    /// Seeds the generators of devices, which dropout uses. They cannot be read, so that a training that
    /// is resumed could not continue them.
    pub fn seed_devices(&self, devices: &[Device]) {
        for (device, mut rng) in devices.iter().zip(self.fork("device").rngs(devices.len())) {
            device.seed(rng.next_u64());
        }
    }

    /// Returns the source of a draw for this many samples.
    fn rows(&mut self, samples: usize) -> &mut HostNoise {
        if self.parts > 1 {
            let first = (self.part as u64).wrapping_mul(samples as u64);
            self.noise = self.noise.clone().starting_at(first);
        }
        &mut self.noise
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
        self.rows(shape.first().copied().unwrap_or(1)).normal(shape, device)
    }

    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
        Ok(Self::uniform(self, samples))
    }

    fn switch_to(&mut self, stream: Stream) {
        self.noise.switch_to(stream);
    }
}
