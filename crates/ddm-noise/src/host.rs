//! Counter-based noise on the host.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::{ChaCha8Rng, Xoshiro256PlusPlus};
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{NoiseError, NoiseSource, Stream};

/// Counter-based noise keyed by (seed, stream, fork, sample, draw): the numbers of sample i do not
/// depend on the batch size, the backend, the device or other threads.
///
/// The key of a ChaCha8 stream cipher holds the seed, the [`Stream`] and the
/// [`fork`](Self::fork); the stream of the cipher is the sample; each draw has its own block,
/// which seeds a xoshiro256++ generator (for speed). The only state is the index of the next draw,
/// so a saved and restored source continues bit for bit.
///
/// ```
/// use burn::tensor::Device;
/// use ddm_noise::{HostNoise, NoiseSource, Stream};
/// let device = Device::flex();
/// let pair = HostNoise::new(7).draw([2, 3], &device);
/// let second_alone = HostNoise::new(7).starting_at(1).draw([1, 3], &device);
/// assert_eq!(pair.clone().narrow(0, 1, 1).into_data(), second_alone.into_data());
/// let other = HostNoise::new(7).stream(Stream::Sampler).draw([2, 3], &device);
/// assert_ne!(pair.into_data(), other.into_data());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostNoise {
    seed: u64,
    stream: Stream,
    /// Hash of the labels of all forks, low word first; 0 for a source that is not a fork.
    fork: [u64; 2],
    first_sample: u64,
    draw: u64,
}

impl HostNoise {
    /// Creates the source of this seed in the [`Stream::User`], at draw 0 and sample 0.
    pub fn new(seed: u64) -> Self {
        Self { seed, stream: Stream::User, fork: [0; 2], first_sample: 0, draw: 0 }
    }

    /// Sets the purpose, which changes the numbers.
    #[must_use]
    pub fn stream(self, stream: Stream) -> Self {
        Self { stream, ..self }
    }

    /// Sets the index of the first sample of the batch, to draw a large set in several batches.
    #[must_use]
    pub fn starting_at(self, first_sample: u64) -> Self {
        Self { first_sample, ..self }
    }

    /// Sets the index of the next draw.
    ///
    /// ```
    /// use ddm_noise::HostNoise;
    /// let mut noise = HostNoise::new(7);
    /// noise.uniform(2);
    /// assert_eq!(noise.draw_number(), 1);
    /// assert_eq!(noise.uniform(2), HostNoise::new(7).at(1).uniform(2));
    /// ```
    #[must_use]
    pub fn at(self, draw: u64) -> Self {
        Self { draw, ..self }
    }

    /// Returns the index of the next draw, from 0.
    pub fn draw_number(&self) -> u64 {
        self.draw
    }

    /// Returns an independent source at draw 0, for a part of a program whose draws must not
    /// affect, or be affected by, those of another part. Seed, stream and first sample do not
    /// change.
    ///
    /// The key holds the 128-bit FNV-1a hash of the parent's hash (16 bytes, little-endian) and the
    /// UTF-8 label. It is the same on every machine and in every version.
    ///
    /// ```
    /// use ddm_noise::HostNoise;
    /// let noise = HostNoise::new(7);
    /// assert_ne!(noise.fork("masks").uniform(1), noise.fork("crops").uniform(1));
    /// assert_eq!(noise.fork("masks"), HostNoise::new(7).fork("masks"));
    /// ```
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = (1 << 88) + 0x13b;
        let parent = self.fork.iter().flat_map(|word| word.to_le_bytes());
        let hash = parent
            .chain(label.bytes())
            .fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
        Self { fork: [hash as u64, (hash >> 64) as u64], draw: 0, ..self.clone() }
    }

    /// Returns the next draw, uniform on [0, 1): one number per sample. This source cannot fail.
    pub fn uniform(&mut self, samples: usize) -> Vec<f64> {
        self.rngs(samples).map(|mut rng| rng.sample(StandardUniform)).collect()
    }

    /// Returns the next draw as random generators, one per sample, for other distributions than the
    /// Gaussian and the uniform, with the traits of [rand](https://docs.rs/rand/0.10).
    ///
    /// ```
    /// use ddm_noise::HostNoise;
    /// use rand::RngExt;
    /// let flips: Vec<bool> = HostNoise::new(7).rngs(3).map(|mut rng| rng.random()).collect();
    /// assert_eq!(flips.len(), 3);
    /// ```
    pub fn rngs(
        &mut self,
        samples: usize,
    ) -> impl ExactSizeIterator<Item = Xoshiro256PlusPlus> + use<> {
        let draw = self.next_draw();
        (0..samples).map(move |sample| draw.rng(sample))
    }

    /// Returns the next draw, whose generators can be created on any thread.
    pub(crate) fn next_draw(&mut self) -> Draw {
        let mut key = [0; 32];
        let words = [self.seed, self.stream as u64, self.fork[0], self.fork[1]];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let (first_sample, number) = (self.first_sample, self.draw);
        self.draw = self.draw.wrapping_add(1);
        Draw { key, first_sample, number }
    }
}

impl NoiseSource for HostNoise {
    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
        Ok(Self::uniform(self, samples))
    }

    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        let draw = self.next_draw();
        per_sample(shape, device, |sample, chunk| {
            let normal = StandardNormal.sample_iter(draw.rng(sample));
            chunk.iter_mut().zip(normal).for_each(|(value, z)| *value = z);
        })
    }

    /// Sets the purpose of the next draws. The draw index continues, so that users of one source
    /// never draw the same numbers twice.
    fn switch_to(&mut self, stream: Stream) {
        self.stream = stream;
    }
}

/// One draw of a source.
pub(crate) struct Draw {
    key: [u8; 32],
    first_sample: u64,
    number: u64,
}

impl Draw {
    pub(crate) fn rng(&self, sample: usize) -> Xoshiro256PlusPlus {
        let mut cipher = ChaCha8Rng::from_seed(self.key);
        cipher.set_stream(self.first_sample.wrapping_add(sample as u64));
        cipher.set_block_pos(self.number);
        Xoshiro256PlusPlus::from_rng(&mut cipher)
    }
}

/// Returns the elements of a tensor of this shape, filled per sample on all threads.
pub(crate) fn per_sample(
    shape: &[usize],
    device: &Device,
    fill: impl Fn(usize, &mut [f32]) + Sync,
) -> Tensor<1> {
    let length = shape.iter().product();
    let elements = shape.iter().skip(1).product::<usize>().max(1);
    let mut values = vec![0f32; length];
    let chunks = values.par_chunks_mut(elements).enumerate();
    chunks.for_each(|(sample, chunk)| fill(sample, chunk));
    Tensor::from_data(TensorData::new(values, [length]), device)
}
