//! Noise of a Brownian path over noise levels.

mod path;

use burn::tensor::{Device, Tensor};
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::host::per_sample;
use crate::{HostNoise, NoiseError, NoiseSource, Stream};
use path::{Path, on_grid};

/// A noise source whose step noise is the increment of one Brownian path B per element, so that the
/// noise of a run does not depend on its number of steps:
///
/// `z = (B(v_to) − B(v_from)) / √(v_to − v_from)`, with the clock `v = SNR = α²/σ²`.
///
/// In this clock the noise of ancestral steps (DDIM at η = 1, SDE-DPM-Solver++ of order 1) is
/// exact: with s = σ/α, x̄ = x/α and x̂₀ constant over the step, `x̄' = x̂₀ + (s'²/s²)(x̄ − x̂₀) +
/// s'² ∫ dB_v`. So a stochastic run converges as its number of steps grows. The path of an element
/// is keyed by (seed, sample, element) and computed on demand; nothing is stored.
///
/// A path runs towards less noise. A step towards more noise draws fresh noise, and the first step
/// that starts at more noise than the previous one starts a new path. So a second run with the same
/// source, or a sampler that goes up again (RePaint, Restart), never adds the same noise twice.
/// Steps without an increment also draw fresh noise: between equal levels, and to σ = 0, where v is
/// infinite. Starts and all other draws are those of [`HostNoise`] of the same seed.
///
/// Source: the sampling of a path by bridges follows Li et al., *Scalable Gradients for Stochastic
/// Differential Equations*, section 4, arXiv 2001.01328.
///
/// ```
/// use burn::tensor::Device;
/// use ddm_noise::{BrownianNoise, NoiseSource};
/// use ddm_schedule::NoiseLevel;
/// let level = |sigma| NoiseLevel { timestep: 0.0, alpha: 1.0, sigma };
/// let mut noise = BrownianNoise::new(7);
/// let z = noise.between(&[2, 3], level(0.5), level(0.25), &Device::flex());
/// assert_eq!(z.dims(), [6]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrownianNoise {
    noise: HostNoise,
    path: u64,
    /// The v at the start of the last step on the path, as bits, which have the order of v: text
    /// may lose the last bit of a number.
    began: u64,
}

impl BrownianNoise {
    /// Creates the source of this seed, at its first path.
    pub fn new(seed: u64) -> Self {
        Self { noise: HostNoise::new(seed), path: 0, began: 0 }
    }

    /// Sets the index of the first sample of the batch, to draw a large set in several batches.
    #[must_use]
    pub fn starting_at(self, first_sample: u64) -> Self {
        Self { noise: self.noise.starting_at(first_sample), ..self }
    }
}

impl NoiseSource for BrownianNoise {
    fn normal(&mut self, shape: &[usize], device: &Device) -> Tensor<1> {
        self.noise.normal(shape, device)
    }

    fn uniform(&mut self, samples: usize) -> Result<Vec<f64>, NoiseError> {
        NoiseSource::uniform(&mut self.noise, samples)
    }

    fn between(
        &mut self,
        shape: &[usize],
        from: NoiseLevel,
        to: NoiseLevel,
        device: &Device,
    ) -> Tensor<1> {
        let (from, to) = (on_grid(from.snr()), on_grid(to.snr()));
        // Not `to <= from`, since NaN levels have no increment either.
        if !(from < to && to.is_finite()) {
            return self.normal(shape, device);
        }
        if from.to_bits() < self.began {
            self.path += 1;
        }
        self.began = from.to_bits();
        let fork = self.noise.fork("Brownian path").fork(&self.path.to_string());
        let path = Path::new(fork.stream(Stream::Sampler));
        let scale = (to - from).sqrt();
        per_sample(shape, device, |sample, chunk| {
            let increment = path.increment(sample, chunk.len(), from, to);
            chunk.iter_mut().zip(increment).for_each(|(z, b)| *z = (b / scale) as f32);
        })
    }

    fn switch_to(&mut self, stream: Stream) {
        self.noise.switch_to(stream);
    }
}
