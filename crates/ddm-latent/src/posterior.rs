//! The Gaussian posterior of an encoder.

use burn::tensor::Tensor;

/// A diagonal Gaussian over latents, `q(z | x) = N(μ, σ²)` per element of z.
///
/// Source: Kingma & Welling, *Auto-Encoding Variational Bayes*, sec. 3, arXiv 1312.6114.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_latent::Posterior;
/// let device = Device::flex();
/// let mean = Tensor::<2>::from_floats([[1.0, -2.0]], &device);
/// let posterior = Posterior::new(mean.clone(), mean.zeros_like()); // σ = 1
/// let z = posterior.sample(mean.full_like(0.5)); // μ + σ ε
/// assert_eq!(z.into_data().try_to_vec::<f32>().unwrap(), [1.5, -1.5]);
/// ```
#[derive(Clone, Debug)]
pub struct Posterior<const D: usize> {
    mean: Tensor<D>,
    log_variance: Tensor<D>,
}

impl<const D: usize> Posterior<D> {
    /// Creates `N(μ, e^l)` from the mean μ and the log-variance l, both `[batch, …]`.
    ///
    /// l is clamped to [−30, 20], as in latent diffusion, so that neither σ nor its
    /// logarithm overflows for an untrained encoder.
    #[must_use]
    pub fn new(mean: Tensor<D>, log_variance: Tensor<D>) -> Self {
        Self { mean, log_variance: log_variance.clamp(-30.0, 20.0) }
    }

    /// Returns the mean μ.
    #[must_use]
    pub fn mean(&self) -> Tensor<D> {
        self.mean.clone()
    }

    /// Returns the most likely z, which is the mean of the Gaussian.
    #[must_use]
    pub fn mode(&self) -> Tensor<D> {
        self.mean()
    }

    /// Returns the log-variance `ln σ²`, in [−30, 20].
    #[must_use]
    pub fn log_variance(&self) -> Tensor<D> {
        self.log_variance.clone()
    }

    /// Returns the standard deviation σ.
    #[must_use]
    pub fn std(&self) -> Tensor<D> {
        (self.log_variance.clone() * 0.5).exp()
    }

    /// Returns `z = μ + σ ε`; `epsilon` is standard Gaussian noise of the shape of the mean.
    ///
    /// The noise is an argument, so that runs are reproducible and gradients reach μ and σ.
    #[must_use]
    pub fn sample(&self, epsilon: Tensor<D>) -> Tensor<D> {
        self.mean() + self.std() * epsilon
    }

    /// Returns `KL(q ‖ N(0, I)) = ½ Σ (μ² + σ² − 1 − ln σ²)` in nats, per sample: `[batch]`.
    ///
    /// Source: Kingma & Welling, appendix B, arXiv 1312.6114.
    #[must_use]
    pub fn kl(&self) -> Tensor<1> {
        let terms = self.mean().square() + self.log_variance().exp() - self.log_variance() - 1.0;
        let [batch, rest] = [terms.dims()[0], terms.shape().num_elements()];
        terms.reshape([batch, rest / batch.max(1)]).sum_dim(1).reshape([batch]) * 0.5
    }
}
