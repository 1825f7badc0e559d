//! Keeping x̂₀ in the range of the data.

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};

use crate::{Denoised, Denoiser, ModelError};

/// A denoiser whose x̂₀ is clipped to `[low, high]`, the range of the data.
///
/// DDPM clips to [−1, 1]. Use it for pixels only: latents have no fixed range.
#[derive(Clone, Debug)]
pub struct Clipped<M> {
    inner: M,
    low: f64,
    high: f64,
}

impl<M> Clipped<M> {
    /// Creates a denoiser that clips the prediction of `inner`. A bound may be infinite.
    ///
    /// # Errors
    /// Returns an error if `low` is not below `high`.
    pub fn new(inner: M, low: f64, high: f64) -> Result<Self, ModelError> {
        Invalid::require(low < high, "the lower clipping bound", low, "below the upper")?;
        Ok(Self { inner, low, high })
    }
}

impl<const D: usize, M: Denoiser<D>> Denoiser<D> for Clipped<M> {
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        self.inner.predict_x0(x, at).map_x0(|x0| x0.clamp(self.low, self.high))
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.inner.check(x, noisiest)
    }
}
