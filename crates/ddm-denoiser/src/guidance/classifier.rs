//! Guidance by the gradient of a classifier.

use auto_impl::auto_impl;
use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use super::scale::at_each;
use super::tweedie::{check_start, require_finite, shift};
use crate::per_sample::times;
use crate::{Denoised, Denoiser, FromFn, ModelError, Scale, full_precision, gradient};

/// A classifier of noisy data for a fixed class y: `ln p(y | x_t)`.
///
/// Any differentiable measure of how well x fits a target can be used, such as the similarity to a
/// text. Its input includes the level, since x is noisy. [`from_fn`](crate::from_fn) makes one of a
/// closure.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Classifier, from_fn, sum_each};
/// use ddm_schedule::NoiseLevel;
/// let bright = from_fn(|x: Tensor<3>, _: NoiseLevel| sum_each(x));
/// let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 1.0 };
/// let output = bright.log_probability(Tensor::ones([2, 3, 4], &Device::flex()), at);
/// assert_eq!(output.into_data().to_vec::<f32>(), Ok(vec![12.0, 12.0]));
/// ```
#[auto_impl(&, Box, Arc)]
pub trait Classifier<const D: usize>: Send + Sync {
    /// Returns `ln p(y | x_t = x)` at level `at` up to a constant, in nats, one number per sample
    /// (`[batch]`).
    fn log_probability(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<1>;
}

impl<const D: usize, F> Classifier<D> for FromFn<F>
where
    F: Fn(Tensor<D>, NoiseLevel) -> Tensor<1> + Send + Sync,
{
    fn log_probability(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<1> {
        (self.0)(x, at)
    }
}

/// Classifier guidance: a denoiser, guided by the gradient of a [`Classifier`].
///
/// ```text
/// x̂₀ ← x̂₀ + s (σ²/α) ∇ₓ ln p(y | x)
/// ```
///
/// This adds `s ∇ ln p(y | x)` to the score, or subtracts `s σ ∇ ln p(y | x)` from ε̂. With s = 1
/// and a perfect classifier it is exactly the conditional model. With s = 0 it is the unconditional
/// one, and the classifier is not called. The gradient does not go through the denoiser.
///
/// Where x holds no signal (α = 0) this would be 0/0, so a run cannot start there. Start it at a
/// lower level, or set s = 0 there: `|at: NoiseLevel| if at.alpha > 0.0 { 1.0 } else { 0.0 }`.
/// Source: Dhariwal & Nichol, *Diffusion Models Beat GANs on Image Synthesis*, alg. 2,
/// arXiv 2105.05233; Song et al., *Score-Based Generative Modeling through SDEs*, eq. 14,
/// arXiv 2011.13456.
///
/// ```
/// use burn::tensor::{Device, Tensor, activation::log_sigmoid};
/// use ddm_denoiser::{ClassifierGuided, Denoiser, from_fn, sum_each};
/// use ddm_schedule::NoiseLevel;
/// // Data −1 or 1: x̂₀ = tanh(α x/σ²) and p(1 | x) = sigmoid(2 α x/σ²).
/// let ratio = |at: NoiseLevel| at.alpha / at.sigma.powi(2);
/// let model = from_fn(move |x: Tensor<2>, at: NoiseLevel| (x * ratio(at)).tanh());
/// let is_one = from_fn(move |x: Tensor<2>, at: NoiseLevel| {
///     sum_each(log_sigmoid(x * (2.0 * ratio(at))))
/// });
/// let device = Device::flex();
/// let guided = ClassifierGuided::new(model, is_one, 1.0)?;
/// let at = NoiseLevel { timestep: 500.0, alpha: 0.6, sigma: 0.8 };
/// let x0 = guided.denoise(Tensor::from_floats([[-0.3], [0.4]], &device), at);
/// assert!(x0.all_close(Tensor::ones([2, 1], &device), Some(1e-6), None)); // 1, and surely so
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClassifierGuided<M, K, S = f64> {
    inner: M,
    classifier: K,
    scale: S,
}

impl<M, K, S: Scale> ClassifierGuided<M, K, S> {
    /// Guides `inner` by `classifier`.
    ///
    /// When a run starts, one gradient is computed at x = √(α² + σ²). The run fails to start if the
    /// classifier has no gradient or does not return one number per sample, or if the scale is not
    /// 0 and the value or the gradient is not finite.
    ///
    /// # Errors
    /// Returns an error if the scale is not finite.
    pub fn new(inner: M, classifier: K, scale: S) -> Result<Self, ModelError> {
        scale.check()?;
        Ok(Self { inner, classifier, scale })
    }
}

impl<const D: usize, M, K, S> Denoiser<D> for ClassifierGuided<M, K, S>
where
    M: Denoiser<D>,
    K: Classifier<D>,
    S: Scale,
{
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let x = full_precision(x);
        let scales = at_each(&self.scale, at);
        let shifts: Vec<f64> = scales.iter().zip(at).map(|(&s, &at)| shift(s, at)).collect();
        let denoised = self.inner.predict_x0(x.clone(), at);
        if shifts.iter().all(|&shift| shift == 0.0) {
            return denoised;
        }
        // A classifier takes a single level, so it is called once for each distinct level.
        let slope = Denoised::per_level(x, at, |x, at| {
            let (_, slope) = gradient(x.clone(), |x| self.classifier.log_probability(x, at));
            // `check` requires a gradient. Without one the result is NaN, not a plausible value.
            slope.unwrap_or_else(|| x.full_like(f64::NAN)).into()
        });
        denoised.map_x0(|x0| x0 + times(slope.x0, &shifts))
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.inner.check(x, noisiest)?;
        let scale = check_start("classifier guidance", &self.scale, noisiest)?;
        // Not at 0, where norms have no gradient.
        let ones = full_precision(x.clone()).full_like(noisiest.scale());
        let (value, slope) = gradient(ones, |x| self.classifier.log_probability(x, noisiest));
        ModelError::require_batch("the log-probability", value.dims()[0], x.dims()[0])?;
        let slope = slope.ok_or(ModelError::NoGradient { what: "the classifier" })?;
        if scale == 0.0 {
            return Ok(());
        }
        require_finite("the classifier's ln p(y | x) at x = 1", value)?;
        require_finite("the gradient of the classifier at x = 1", slope)
    }
}
