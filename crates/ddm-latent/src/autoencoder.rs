//! The trait of autoencoders.

use burn::tensor::Tensor;
use ddm_denoiser::ModelError;

use crate::Posterior;

/// A pair of networks between images and a smaller latent: `q(z | x)` and `x̂ = D(z)`.
///
/// `x` is `[batch, channels, …]` of rank D, and z has the same rank. An autoencoder draws no noise:
/// the encoder returns a [`Posterior`], which samples with the caller's noise. A deterministic
/// autoencoder returns a posterior of very small variance.
///
/// Source: Kingma & Welling, *Auto-Encoding Variational Bayes*, arXiv 1312.6114.
///
/// ```
/// use burn::tensor::Tensor;
/// use ddm_latent::{Autoencoder, Posterior};
/// /// A minimal autoencoder, whose latent is twice the image.
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
#[auto_impl::auto_impl(&, Box, Arc)]
pub trait Autoencoder<const D: usize>: Send + Sync {
    /// Returns `q(z | x)`, the distribution of latents of x.
    fn encode(&self, x: Tensor<D>) -> Posterior<D>;

    /// Returns `D(z)`, the image of a latent.
    fn decode(&self, z: Tensor<D>) -> Tensor<D>;

    /// Checks that an image of this shape can be encoded. Accepts every shape by default.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Shape`] if it cannot.
    fn check_image(&self, shape: [usize; D]) -> Result<(), ModelError> {
        let _ = shape;
        Ok(())
    }

    /// Checks that a latent of this shape can be decoded. Accepts every shape by default.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Shape`] if it cannot.
    fn check_latent(&self, shape: [usize; D]) -> Result<(), ModelError> {
        let _ = shape;
        Ok(())
    }
}
