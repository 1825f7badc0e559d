//! The trait of models that predict the data.

use auto_impl::auto_impl;
use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use crate::{Denoised, ModelError};

/// A model that predicts the data, `x̂₀ ≈ E[x₀ | x_t]`, whatever its network predicts.
///
/// Usually a [`Model`](crate::Model). Wrappers (clipping, guidance) are denoisers that hold
/// denoisers, and [`from_fn`](crate::from_fn) makes one of a closure. The trait has a single
/// prediction method, so that a wrapper cannot drop a part of its inner denoiser's prediction.
#[auto_impl(&, Box, Arc)]
pub trait Denoiser<const D: usize>: Send + Sync {
    /// Returns x̂₀ for x, of the shape of x, and the variance if the model learns one. `at` is one
    /// level for the whole batch, or one per sample. A denoiser that takes only one level at a time
    /// calls [`Denoised::per_level`].
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D>;

    /// Returns x̂₀ for a batch that is at one level.
    fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.predict_x0(x, &[at]).x0
    }

    /// Checks that a run may start from x at level `noisiest`. Called once before a run; may call
    /// the model.
    ///
    /// # Errors
    /// Returns an error if the shape, the condition or the level is invalid for the model.
    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        let _ = (x, noisiest);
        Ok(())
    }
}
