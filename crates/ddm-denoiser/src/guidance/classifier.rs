//! Guidance by the gradient of a classifier.

use burn::tensor::{Device, Tensor};
use ddm_schedule::NoiseLevel;

use super::tweedie::{check_start, require_finite, shift};
use crate::{Denoiser, FromFn, ModelError, Scale, gradient};

/// A classifier of noisy data, with the wanted class bound: `ln p(y | x_t)`.
///
/// Any differentiable measure of how well x suits a wish will do, such as the likeness to a text.
/// It is told the level, since it has to read noisy data. A closure is one through
/// [`from_fn`](crate::from_fn).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Classifier, from_fn, sum_each};
/// use ddm_schedule::NoiseLevel;
/// let bright = from_fn(|x: Tensor<3>, _: NoiseLevel| sum_each(x));
/// let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 1.0 };
/// let answer = bright.log_probability(Tensor::ones([2, 3, 4], &Device::flex()), at);
/// assert_eq!(answer.into_data().to_vec::<f32>(), Ok(vec![12.0, 12.0]));
/// ```
pub trait Classifier<const D: usize> {
    /// `ln p(y | x_t = x)` at level `at`, in nats, one number a sample (`[batch]`), up to a constant.
    fn log_probability(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<1>;
}

impl<const D: usize, C: Classifier<D> + ?Sized> Classifier<D> for &C {
    fn log_probability(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<1> {
        (**self).log_probability(x, at)
    }
}

impl<const D: usize, F: Fn(Tensor<D>, NoiseLevel) -> Tensor<1>> Classifier<D> for FromFn<F> {
    fn log_probability(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<1> {
        (self.0)(x, at)
    }
}

/// Classifier guidance: a denoiser, led by the gradient of a [`Classifier`].
///
/// ```text
/// x̂₀ ← x̂₀ + s (σ²/α) ∇ₓ ln p(y | x)
/// ```
///
/// This is the score plus `s ∇ ln p(y | x)`, or ε̂ less `s σ ∇ ln p(y | x)`. With s = 1 and a perfect
/// classifier it is exactly the conditional model; s = 0 is the unconditional one, and in the
/// steps the classifier is not asked. The gradient does not go through the denoiser.
///
/// Where x holds no signal (α = 0) this would be 0/0, and a run that starts there is refused; start
/// it below, or let s be 0 there: `|at: NoiseLevel| if at.alpha > 0.0 { 1.0 } else { 0.0 }`.
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
/// let guided = ClassifierGuided::new(model, is_one, 1.0, &device)?;
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
    device: Device,
}

impl<M, K, S: Scale> ClassifierGuided<M, K, S> {
    /// Guides `inner` by `classifier`, which lives on `device`.
    ///
    /// There a gradient is tried once when a run starts, at x = √(α² + σ²) throughout: a classifier
    /// that has none, or answers other than one number a sample, is refused, and where the scale is
    /// not 0 one whose answer or gradient is not finite.
    pub fn new(inner: M, classifier: K, scale: S, device: &Device) -> Result<Self, ModelError> {
        scale.check()?;
        Ok(Self { inner, classifier, scale, device: device.clone() })
    }
}

impl<const D: usize, M, K, S> Denoiser<D> for ClassifierGuided<M, K, S>
where
    M: Denoiser<D>,
    K: Classifier<D>,
    S: Scale,
{
    fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.denoise_with_variance(x, at).0
    }

    fn denoise_with_variance(
        &self,
        x: Tensor<D>,
        at: NoiseLevel,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let (x0, variance) = self.inner.denoise_with_variance(x.clone(), at);
        let shift = shift(self.scale.at(at), at);
        if shift == 0.0 {
            return (x0, variance);
        }
        let (_, slope) = gradient(x, |x| self.classifier.log_probability(x, at));
        // That there is a gradient was checked; without one nothing here looks like a result.
        let slope = slope.unwrap_or_else(|| x0.full_like(f64::NAN));
        (x0 + slope * shift, variance)
    }

    fn check(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.inner.check(shape, noisiest)?;
        let scale = check_start("classifier guidance", &self.scale, noisiest)?;
        // Not 0, where norms have no gradient.
        let ones = Tensor::ones(shape, &self.device) * noisiest.scale();
        let (value, slope) = gradient(ones, |x| self.classifier.log_probability(x, noisiest));
        ModelError::require_batch("the classifier's answer", value.dims()[0], shape[0])?;
        let slope = slope.ok_or(ModelError::NoGradient { what: "the classifier" })?;
        if scale == 0.0 {
            return Ok(());
        }
        require_finite("the classifier's ln p(y | x) at x = 1", value)?;
        require_finite("the gradient of the classifier at x = 1", slope)
    }
}
