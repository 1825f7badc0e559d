//! Counter-based noise from the host.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::{ChaCha8Rng, Xoshiro256PlusPlus};
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use rayon::prelude::*;

use crate::{NoiseError, NoiseSource};

/// Noise keyed by (seed, sample, draw): sample i gets the same numbers whatever the batch size, the
/// backend, the device and the other threads do.
///
/// The key of a ChaCha8 stream cipher is the seed, its stream the sample, and each draw has a block
/// of its own, which seeds a xoshiro256++ generator (for speed) for the numbers of that draw: no
/// state is shared or carried but the number of the next draw.
///
/// ```
/// use burn::tensor::Device;
/// use ddm_noise::{HostNoise, NoiseSource};
/// let device = Device::flex();
/// let pair = HostNoise::new(7).draw([2, 3], &device);
/// let second_alone = HostNoise::new(7).starting_at(1).draw([1, 3], &device);
/// assert_eq!(pair.narrow(0, 1, 1).into_data(), second_alone.into_data());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNoise {
    seed: u64,
    first_sample: u64,
    draw: u64,
}

impl HostNoise {
    /// The source of this seed, at its first draw and sample 0.
    pub fn new(seed: u64) -> Self {
        Self { seed, first_sample: 0, draw: 0 }
    }

    /// The first of the batch is sample `first_sample`: to make a large set in several batches.
    pub fn starting_at(self, first_sample: u64) -> Self {
        Self { first_sample, ..self }
    }

    /// The next draw, uniform on [0, 1): one number per sample. This source cannot fail.
    pub fn uniform(&mut self, samples: usize) -> Vec<f64> {
        let draw = self.next_draw();
        (0..samples).map(|i| self.stream(i, draw).sample(StandardUniform)).collect()
    }

    fn next_draw(&mut self) -> u64 {
        self.draw += 1;
        self.draw - 1
    }

    fn stream(&self, sample: usize, draw: u64) -> Xoshiro256PlusPlus {
        let mut key = ChaCha8Rng::seed_from_u64(self.seed);
        key.set_stream(self.first_sample + sample as u64);
        key.set_block_pos(draw);
        Xoshiro256PlusPlus::from_rng(&mut key)
    }
}

impl NoiseSource for HostNoise {
    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
        Ok(Self::uniform(self, samples))
    }

    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        let draw = self.next_draw();
        let elements: usize = shape[1..].iter().product();
        let mut values = vec![0f32; shape[0] * elements];
        values.par_chunks_mut(elements.max(1)).enumerate().for_each(|(sample, chunk)| {
            let normal = StandardNormal.sample_iter(self.stream(sample, draw));
            chunk.iter_mut().zip(normal).for_each(|(value, z)| *value = z);
        });
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [length]), device)
    }
}
