//! Closures as networks, denoisers, classifiers and operators.

use std::fmt;

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use crate::{Denoised, Denoiser, ModelError, NoisePredictor, full_precision};

/// Wraps a closure as a [`NoisePredictor`] (`|x, t: Tensor<1>| …`) or, if it takes a level, as a
/// [`Denoiser`] (`|x, at: NoiseLevel| …`).
///
/// The closure may capture a condition. A [`Classifier`](crate::Classifier) and an
/// [`Operator`](crate::Operator) can be made in the same way.
///
/// ```
/// use burn::tensor::Tensor;
/// use ddm_denoiser::{Denoiser, from_fn};
/// use ddm_schedule::NoiseLevel;
/// // The exact denoiser of N(0, 1): E[x₀ | x] = α x / (α² + σ²).
/// let gaussian = from_fn(|x: Tensor<3>, at: NoiseLevel| x * (at.alpha / at.scale().powi(2)));
/// fn takes(_: &dyn Denoiser<3>) {}
/// takes(&gaussian);
/// ```
pub fn from_fn<F>(function: F) -> FromFn<F> {
    FromFn(function)
}

/// The wrapper of a closure that [`from_fn`] returns.
#[derive(Clone, Copy)]
pub struct FromFn<F>(pub(crate) F);

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromFn")
    }
}

impl<const D: usize, F> NoisePredictor<D> for FromFn<F>
where
    F: Fn(Tensor<D>, Tensor<1>) -> Tensor<D> + Send + Sync,
{
    fn predict(&self, x: Tensor<D>, t: Tensor<1>) -> Tensor<D> {
        (self.0)(x, t)
    }
}

impl<const D: usize, F, R> Denoiser<D> for FromFn<F>
where
    F: Fn(Tensor<D>, NoiseLevel) -> R + Send + Sync,
    R: Into<Denoised<D>>,
{
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        Denoised::per_level(full_precision(x), at, |x, at| (self.0)(x, at).into())
    }

    /// One trial call: the shape of the prediction is not known otherwise.
    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        let trial = self.denoise(x.clone(), noisiest);
        ModelError::require_prediction(trial.dims(), x.dims())
    }
}
