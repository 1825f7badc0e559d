//! The trait of autoencoders.

use burn::tensor::Tensor;
use ddm_denoiser::ModelError;

use crate::Posterior;

/// A pair of networks between images and a smaller latent: `q(z | x)` and `x̂ = D(z)`.
///
/// `x` is `[batch, channels, …]` of rank D, z of the same rank. Noise is never drawn in here: the
/// encoder answers with a [`Posterior`], which samples with the noise it is given. A deterministic
/// autoencoder answers with a posterior of very small variance.
///
/// Source: Kingma & Welling, *Auto-Encoding Variational Bayes*, arXiv 1312.6114.
///
/// ```
/// use burn::tensor::Tensor;
/// use ddm_latent::{Autoencoder, Posterior};
/// /// Twice the image: the smallest autoencoder that does something.
/// struct Twice;
/// impl<const D: usize> Autoencoder<D> for Twice {
///     fn encode(&self, x: Tensor<D>) -> Posterior<D> {
///         let log_variance = x.full_like(-30.0);
///         Posterior::new(x * 2.0, log_variance)
///     }
///     fn decode(&self, z: Tensor<D>) -> Tensor<D> {
///         z / 2.0
///     }
/// }
/// ```
pub trait Autoencoder<const D: usize> {
    /// `q(z | x)`, the distribution of latents of x.
    fn encode(&self, x: Tensor<D>) -> Posterior<D>;

    /// `D(z)`, the image that z stands for.
    fn decode(&self, z: Tensor<D>) -> Tensor<D>;

    /// Whether an image of this shape can be encoded.
    fn check_image(&self, shape: [usize; D]) -> Result<(), ModelError> {
        let _ = shape;
        Ok(())
    }

    /// Whether a latent of this shape can be decoded.
    fn check_latent(&self, shape: [usize; D]) -> Result<(), ModelError> {
        let _ = shape;
        Ok(())
    }
}

impl<const D: usize, A: Autoencoder<D> + ?Sized> Autoencoder<D> for &A {
    fn encode(&self, x: Tensor<D>) -> Posterior<D> {
        (**self).encode(x)
    }
    fn decode(&self, z: Tensor<D>) -> Tensor<D> {
        (**self).decode(z)
    }
    fn check_image(&self, shape: [usize; D]) -> Result<(), ModelError> {
        (**self).check_image(shape)
    }
    fn check_latent(&self, shape: [usize; D]) -> Result<(), ModelError> {
        (**self).check_latent(shape)
    }
}
