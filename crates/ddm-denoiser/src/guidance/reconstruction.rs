//! Guidance by an observation of the data.

use auto_impl::auto_impl;
use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use super::scale::at_each;
use super::tweedie::{check_start, require_finite, shift};
use crate::per_sample::times;
use crate::{
    Denoised, Denoiser, FromFn, ModelError, ObservationLikelihood, Scale, full_precision, gradient,
    sum_each,
};

/// The measurement operator A of an observation `y = A(x₀) + noise`; E is the rank of y.
///
/// It may be any function that burn can differentiate and that treats the samples of a batch (axis
/// 0) separately: a mask, downscaling, a blur, a sum, a network. [`from_fn`](crate::from_fn) makes
/// one of a closure.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Operator, from_fn};
/// // The mean of each image: from rank 4 to rank 2.
/// let mean = from_fn(|x0: Tensor<4>| x0.flatten::<2>(1, 3).mean_dim(1));
/// assert_eq!(mean.apply(Tensor::ones([2, 3, 4, 4], &Device::flex())).dims(), [2, 1]);
/// ```
#[auto_impl(&, Box, Arc)]
pub trait Operator<const D: usize, const E: usize>: Send + Sync {
    /// Returns `A(x₀)`, with the samples along axis 0 as in x₀.
    fn apply(&self, x0: Tensor<D>) -> Tensor<E>;
}

impl<const D: usize, const E: usize, F> Operator<D, E> for FromFn<F>
where
    F: Fn(Tensor<D>) -> Tensor<E> + Send + Sync,
{
    fn apply(&self, x0: Tensor<D>) -> Tensor<E> {
        (self.0)(x0)
    }
}

/// A denoiser, guided by an observation `y = A(x₀) + noise`: super-resolution, deblurring,
/// inpainting.
///
/// ```text
/// x̂₀ ← x̂₀ + s (σ²/α) ∇ₓ ln p(y | x),    p(y | x) from ‖y − A(x̂₀(x))‖²
/// ```
///
/// The [`ObservationLikelihood`] defines p from the misfit: [`GaussianLikelihood`] (ΠGDM,
/// reconstruction guidance) or [`NormalizedLikelihood`] (DPS). For Gaussian data and a linear A the
/// prediction is exactly E[x₀ | x, y]. The gradient goes through the denoiser, which must be
/// differentiable with respect to x, and costs about two more calls of it. s = 0 is the denoiser
/// alone.
///
/// A mask is a linear operator too: `|x0| x0 * mask` with `y = known * mask` inpaints. It is exact
/// where the replacement of RePaint is not, but unlike RePaint it requires the gradient of the
/// network.
///
/// Where x holds no signal (α = 0) x̂₀ does not depend on x and cannot be guided, so a run cannot
/// start there. Start it at a lower level, or set s = 0 there, as with
/// [`ClassifierGuided`](crate::ClassifierGuided).
///
/// [`GaussianLikelihood`]: crate::GaussianLikelihood
/// [`NormalizedLikelihood`]: crate::NormalizedLikelihood
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Denoiser, GaussianLikelihood, Reconstruction, from_fn};
/// use ddm_schedule::NoiseLevel;
/// // Data N(0, 1) in two dimensions, of which the first is known to be 0.5.
/// let model = from_fn(|x: Tensor<2>, at: NoiseLevel| x * (at.alpha / at.scale().powi(2)));
/// let first = from_fn(|x0: Tensor<2>| x0.narrow(1, 0, 1));
/// let device = Device::flex();
/// let y = Tensor::<2>::from_floats([[0.5]], &device);
/// let guided = Reconstruction::new(model, first, y, GaussianLikelihood::new(0.0)?)?;
/// let at = NoiseLevel { timestep: 500.0, alpha: 0.6, sigma: 0.8 };
/// let x0 = guided.denoise(Tensor::ones([1, 2], &device), at);
/// let exact = Tensor::from_floats([[0.5, 0.6]], &device); // α x/(α² + σ²) = 0.6 for the second
/// assert!(x0.all_close(exact, Some(1e-6), None));
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[doc(alias = "DPS")]
#[doc(alias = "inpainting")]
#[doc(alias = "inverse problem")]
#[doc(alias = "super-resolution")]
#[derive(Clone, Debug)]
pub struct Reconstruction<M, A, L, const E: usize, S = f64> {
    inner: M,
    operator: A,
    observed: Tensor<E>,
    likelihood: L,
    scale: S,
}

impl<M, A, L, const E: usize> Reconstruction<M, A, L, E> {
    /// Guides `inner` by `observed`, one per sample or one (`[1, …]`) for all, at scale 1. The
    /// shape of the operator's output is checked when a run starts.
    ///
    /// # Errors
    /// Returns an error if an element of `observed` is not finite, or if it cannot be read back
    /// from the device.
    pub fn new(
        inner: M,
        operator: A,
        observed: Tensor<E>,
        likelihood: L,
    ) -> Result<Self, ModelError> {
        require_finite("an element of y", observed.clone())?;
        Ok(Self { inner, operator, observed, likelihood, scale: 1.0 })
    }
}

impl<M, A, L, const E: usize, S> Reconstruction<M, A, L, E, S> {
    /// Sets the scale.
    ///
    /// # Errors
    /// Returns an error if the scale is not finite.
    pub fn scale<T: Scale>(self, scale: T) -> Result<Reconstruction<M, A, L, E, T>, ModelError> {
        scale.check()?;
        let Self { inner, operator, observed, likelihood, .. } = self;
        Ok(Reconstruction { inner, operator, observed, likelihood, scale })
    }

    /// `‖y − A(x̂₀)‖²` of each sample.
    fn misfit<const D: usize>(&self, x0: Tensor<D>) -> Tensor<1>
    where
        A: Operator<D, E>,
    {
        let seen = self.operator.apply(x0);
        let observed = self.observed.clone().cast(seen.dtype());
        sum_each((observed - seen).square())
    }

    /// Checks that A of ones is finite, can be differentiated and has the shape of y.
    fn check_operator<const D: usize>(&self, x: &Tensor<D>) -> Result<(), ModelError>
    where
        A: Operator<D, E>,
    {
        // Not at 0, where norms have no gradient and logarithms are infinite.
        let ones = full_precision(x.clone()).ones_like();
        let batch = x.dims()[0];
        let seen = self.operator.apply(ones.clone());
        let (found, mut wanted) = (seen.dims(), self.observed.dims());
        if wanted[0] == 1 {
            wanted[0] = batch;
        }
        if found != wanted || found[0] != batch {
            let (found, expected) =
                (format!("of shape {found:?}"), format!("that of y, {wanted:?}"));
            return Err(ModelError::Shape {
                what: "A(x0), the output of the operator,",
                found,
                expected,
            });
        }
        require_finite("an element of A(x0) at x0 = 1", seen)?;
        let (_, slope) = gradient(ones, |x0| sum_each(self.operator.apply(x0)));
        slope.map(drop).ok_or(ModelError::NoGradient { what: "the operator" })
    }
}

impl<M, A, L: ObservationLikelihood, const E: usize, S> Reconstruction<M, A, L, E, S> {
    /// `∇ₓ ln p(y | x)`, and the prediction of the data it is computed from.
    fn slope<const D: usize>(
        &self,
        x: Tensor<D>,
        at: &[NoiseLevel],
    ) -> (Option<Tensor<D>>, Denoised<D>)
    where
        M: Denoiser<D>,
        A: Operator<D, E>,
    {
        let mut denoised = Denoised::from(x.clone());
        let (_, slope) = gradient(x, |x| {
            let found = self.inner.predict_x0(x, at);
            denoised = found.clone().inner();
            self.likelihood.log_likelihood(self.misfit(found.x0), at)
        });
        (slope, denoised)
    }
}

impl<const D: usize, M, A, L, const E: usize, S> Denoiser<D> for Reconstruction<M, A, L, E, S>
where
    M: Denoiser<D>,
    A: Operator<D, E>,
    L: ObservationLikelihood,
    S: Scale,
{
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let x = full_precision(x);
        let scales = at_each(&self.scale, at);
        let shifts: Vec<f64> = scales.iter().zip(at).map(|(&s, &at)| shift(s, at)).collect();
        if shifts.iter().all(|&shift| shift == 0.0) {
            return self.inner.predict_x0(x, at);
        }
        let (slope, mut denoised) = self.slope(x.clone(), at);
        if x.is_tracked() {
            // A caller that differentiates this needs x̂₀ as a function of its x.
            denoised = self.inner.predict_x0(x, at);
        }
        // `check` requires a gradient. Without one the result is NaN, not a plausible value.
        denoised.map_x0(|x0| {
            let slope = slope.unwrap_or_else(|| x0.full_like(f64::NAN));
            x0 + times(slope, &shifts)
        })
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.inner.check(x, noisiest)?;
        check_start("guidance by an observation", &self.scale, noisiest)?;
        self.check_operator(x)?;
        let zeros = full_precision(x.clone()).zeros_like();
        let (_, slope) = gradient(zeros, |x| sum_each(self.inner.denoise(x, noisiest)));
        slope.map(drop).ok_or(ModelError::NoGradient { what: "the denoiser" })
    }
}
