//! The latent space of an autoencoder, scaled for diffusion.

use burn::tensor::Tensor;
use ddm_denoiser::ModelError;
use ddm_schedule::Invalid;

use crate::Autoencoder;

/// An autoencoder's latent space, shifted and scaled: `latent = (z − shift) · scale`.
///
/// Schedules assume data of about unit variance, but latents may have any variance. Stable
/// Diffusion 1 has scale 0.18215 and no shift. To work in latent space, train on
/// [`encode`](Self::encode)d images, sample, and [`decode`](Self::decode) the samples; samplers and
/// objectives do not change.
///
/// Freeze the autoencoder first (burn's `valid()`), or its gradients are also recorded.
///
/// Source: Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion Models*, sec.
/// 3.3 and appendix G, arXiv 2112.10752.
///
/// ```
/// # use burn::tensor::Tensor;
/// # use ddm_latent::{Autoencoder, Posterior};
/// # struct Twice;
/// # impl Autoencoder<2> for Twice {
/// #     fn encode(&self, x: Tensor<2>) -> Posterior<2> {
/// #         let log_variance = x.full_like(-30.0);
/// #         Posterior::new(x * 2.0, log_variance)
/// #     }
/// #     fn decode(&self, z: Tensor<2>) -> Tensor<2> { z / 2.0 }
/// # }
/// use burn::tensor::Device;
/// use ddm_latent::LatentSpace;
/// let space = LatentSpace::new(Twice, 0.5, 1.0)?; // Twice encodes x as 2x
/// let x = Tensor::<2>::from_floats([[3.0]], &Device::flex());
/// let latent = space.encode(x); // (2 · 3 − 1) · 0.5
/// assert_eq!(latent.clone().into_scalar::<f32>(), 2.5);
/// assert_eq!(space.decode(latent).into_scalar::<f32>(), 3.0);
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LatentSpace<A> {
    autoencoder: A,
    scale: f64,
    shift: f64,
}

impl<A> LatentSpace<A> {
    /// Creates the latent space `(z − shift) · scale`.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Invalid`] if the scale is 0, or one of the two is not finite.
    pub fn new(autoencoder: A, scale: f64, shift: f64) -> Result<Self, ModelError> {
        let (usable, allowed) = (scale.is_finite() && scale != 0.0, "finite and not 0");
        Invalid::require(usable, "the latent scale", scale, allowed)?;
        Invalid::require(shift.is_finite(), "the latent shift", shift, "finite")?;
        Ok(Self { autoencoder, scale, shift })
    }

    /// Creates the latent space in which `latents` (unscaled z, preferably many) have mean 0 and
    /// variance 1: `shift = mean(z)`, `scale = 1/std(z)`, one number for all elements.
    ///
    /// Reads two numbers from the device; in a browser use [`fitted_async`](Self::fitted_async).
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Invalid`] if all elements are equal, or some are not finite, and
    /// [`ModelError::Shape`] if the numbers cannot be read.
    pub fn fitted<const D: usize>(autoencoder: A, latents: Tensor<D>) -> Result<Self, ModelError> {
        let moments = moments(latents).try_into_vec_as::<f64>();
        Self::with_moments(autoencoder, &moments.map_err(unreadable)?)
    }

    /// Creates the latent space as [`fitted`](Self::fitted), without blocking while the device
    /// computes.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`fitted`](Self::fitted).
    pub async fn fitted_async<const D: usize>(
        autoencoder: A,
        latents: Tensor<D>,
    ) -> Result<Self, ModelError> {
        let moments = moments(latents).into_data_async().await.map_err(unreadable)?;
        Self::with_moments(autoencoder, &moments.convert::<f64>().try_to_vec().map_err(unreadable)?)
    }

    fn with_moments(autoencoder: A, moments: &[f64]) -> Result<Self, ModelError> {
        let &[mean, variance] = moments else { return Err(unreadable("not two numbers")) };
        let (std, allowed) = (variance.sqrt(), "finite and not 0");
        Invalid::require(std.is_finite() && std > 0.0, "the std of the latents", std, allowed)?;
        Self::new(autoencoder, 1.0 / std, mean)
    }

    /// Returns the factor of z, after the shift.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Returns the number subtracted from z.
    #[must_use]
    pub fn shift(&self) -> f64 {
        self.shift
    }

    /// Returns the autoencoder.
    pub fn autoencoder(&self) -> &A {
        &self.autoencoder
    }

    /// Returns `(z − shift) · scale`: an autoencoder's z as a latent for diffusion.
    pub fn scaled<const D: usize>(&self, z: Tensor<D>) -> Tensor<D> {
        (z - self.shift) * self.scale
    }

    /// Returns `latent / scale + shift`, the inverse of [`scaled`](Self::scaled).
    pub fn unscaled<const D: usize>(&self, latent: Tensor<D>) -> Tensor<D> {
        latent / self.scale + self.shift
    }

    /// Returns the latent of x: the scaled mode of its posterior. Deterministic.
    pub fn encode<const D: usize>(&self, x: Tensor<D>) -> Tensor<D>
    where
        A: Autoencoder<D>,
    {
        self.scaled(self.autoencoder.encode(x).mode())
    }

    /// Draws a latent from the posterior of x; `epsilon` is standard Gaussian noise of the
    /// latent's shape.
    pub fn encode_sample<const D: usize>(&self, x: Tensor<D>, epsilon: Tensor<D>) -> Tensor<D>
    where
        A: Autoencoder<D>,
    {
        self.scaled(self.autoencoder.encode(x).sample(epsilon))
    }

    /// Returns the image of a latent.
    pub fn decode<const D: usize>(&self, latent: Tensor<D>) -> Tensor<D>
    where
        A: Autoencoder<D>,
    {
        self.autoencoder.decode(self.unscaled(latent))
    }
}

/// Returns the mean and the variance of all elements: `[2]`.
fn moments<const D: usize>(latents: Tensor<D>) -> Tensor<1> {
    let mean = latents.clone().mean();
    let variance = (latents - mean.clone().reshape([1; D])).square().mean();
    Tensor::cat(vec![mean, variance], 0)
}

fn unreadable(error: impl std::fmt::Display) -> ModelError {
    let expected = "a mean and a variance that can be read".to_owned();
    ModelError::Shape { what: "the device's result", found: error.to_string(), expected }
}
