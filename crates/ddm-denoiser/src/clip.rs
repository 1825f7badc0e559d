//! Keeping x̂₀ in the range of the data.

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};

use crate::{Denoiser, ModelError};

/// Clips x̂₀ to `[low, high]`, the range of the data.
///
/// DDPM clips to [−1, 1]. For pixels only: latents have no range.
#[derive(Clone, Debug)]
pub struct Clipped<M> {
    inner: M,
    low: f64,
    high: f64,
}

impl<M> Clipped<M> {
    /// Clips what `inner` answers; `low < high`. Infinite bounds change nothing.
    pub fn new(inner: M, low: f64, high: f64) -> Result<Self, ModelError> {
        if low < high {
            return Ok(Self { inner, low, high });
        }
        Err(Invalid { name: "the lower clipping bound", value: low, allowed: "below the upper" }
            .into())
    }
}

impl<const D: usize, M: Denoiser<D>> Denoiser<D> for Clipped<M> {
    fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.denoise_with_variance(x, at).0
    }

    fn denoise_with_variance(
        &self,
        x: Tensor<D>,
        at: NoiseLevel,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let (x0, variance) = self.inner.denoise_with_variance(x, at);
        (x0.clamp(self.low, self.high), variance)
    }

    fn denoise_each(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
        self.inner.denoise_each(x, at).clamp(self.low, self.high)
    }

    fn check(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.inner.check(shape, noisiest)
    }
}
