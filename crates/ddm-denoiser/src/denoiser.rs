//! The model as samplers see it.

use auto_impl::auto_impl;
use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use crate::{Denoised, ModelError};

/// A model that predicts the data, `x̂₀ ≈ E[x₀ | x_t]`, whatever its network predicts.
///
/// Usually a [`Model`](crate::Model); wrappers (clipping, guidance) are denoisers that hold
/// denoisers, and a closure is one through [`from_fn`](crate::from_fn). It has one prediction
/// method, so that a wrapper cannot forget a part of what its inner denoiser predicts.
#[auto_impl(&, Box, Arc)]
pub trait Denoiser<const D: usize>: Send + Sync {
    /// x̂₀ for x, of the shape of x, and the variance if the model learns one. `at` is one level for
    /// the whole batch, or one per sample. A denoiser that can take only one at a time calls
    /// [`Denoised::per_level`].
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D>;

    /// x̂₀ where the whole batch is at one level.
    fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.predict_x0(x, &[at]).x0
    }

    /// Whether a run may start from x at level `noisiest`. Called once before a run; may call the
    /// model.
    ///
    /// # Errors
    /// A shape, a condition or a level that the model cannot take.
    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        let _ = (x, noisiest);
        Ok(())
    }
}
