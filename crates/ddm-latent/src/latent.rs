//! The latent space of an autoencoder, as diffusion sees it.

use burn::tensor::Tensor;
use ddm_denoiser::ModelError;
use ddm_schedule::Invalid;

use crate::Autoencoder;

/// An autoencoder's latents, shifted and scaled: `latent = (z − shift) · scale`.
///
/// Schedules are made for data of about unit variance, and latents may have any. Stable
/// Diffusion 1 has the scale 0.18215 and no shift. To work in latent space, train on
/// [`encode`](Self::encode)d images, sample, and [`decode`](Self::decode) what comes out; no
/// sampler and no objective needs to know.
///
/// Freeze the autoencoder first (burn's `valid()`), or its gradients are recorded too.
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
    /// The latent space `(z − shift) · scale`.
    ///
    /// # Errors
    /// [`ModelError::Setting`] if the scale is 0, or one of the two is not finite.
    pub fn new(autoencoder: A, scale: f64, shift: f64) -> Result<Self, ModelError> {
        if !scale.is_finite() || scale == 0.0 {
            let allowed = "finite and not 0";
            return Err(Invalid { name: "the latent scale", value: scale, allowed }.into());
        }
        if !shift.is_finite() {
            let allowed = "finite";
            return Err(Invalid { name: "the latent shift", value: shift, allowed }.into());
        }
        Ok(Self { autoencoder, scale, shift })
    }

    /// The latent space in which `latents` (unscaled z, as many as can be had) have mean 0 and
    /// variance 1: `shift = mean(z)`, `scale = 1/std(z)`, one number for all elements.
    ///
    /// Reads two numbers back from the device.
    ///
    /// # Errors
    /// [`ModelError::Setting`] if all elements are equal, or some are not finite.
    pub fn fitted<const D: usize>(autoencoder: A, latents: Tensor<D>) -> Result<Self, ModelError> {
        let mean = latents.clone().mean();
        let variance = (latents - mean.clone().reshape([1; D])).square().mean();
        let std = variance.into_scalar::<f64>().sqrt();
        if !std.is_finite() || std == 0.0 {
            let (what, allowed) = ("the std of the latents", "finite and not 0");
            return Err(Invalid { name: what, value: std, allowed }.into());
        }
        Self::new(autoencoder, 1.0 / std, mean.into_scalar::<f64>())
    }

    /// What z is multiplied by.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// What is taken from z before.
    pub fn shift(&self) -> f64 {
        self.shift
    }

    /// The autoencoder.
    pub fn autoencoder(&self) -> &A {
        &self.autoencoder
    }

    /// `(z − shift) · scale`: an autoencoder's z as a latent for diffusion.
    pub fn scaled<const D: usize>(&self, z: Tensor<D>) -> Tensor<D> {
        (z - self.shift) * self.scale
    }

    /// `latent / scale + shift`, the inverse of [`scaled`](Self::scaled).
    pub fn unscaled<const D: usize>(&self, latent: Tensor<D>) -> Tensor<D> {
        latent / self.scale + self.shift
    }

    /// The latent of x: the mode of its posterior, scaled. Deterministic.
    pub fn encode<const D: usize>(&self, x: Tensor<D>) -> Tensor<D>
    where
        A: Autoencoder<D>,
    {
        self.scaled(self.autoencoder.encode(x).mode())
    }

    /// A latent drawn from the posterior of x; `epsilon` is standard Gaussian noise of the
    /// latent's shape.
    pub fn encode_sample<const D: usize>(&self, x: Tensor<D>, epsilon: Tensor<D>) -> Tensor<D>
    where
        A: Autoencoder<D>,
    {
        self.scaled(self.autoencoder.encode(x).sample(epsilon))
    }

    /// The image that a latent stands for.
    pub fn decode<const D: usize>(&self, latent: Tensor<D>) -> Tensor<D>
    where
        A: Autoencoder<D>,
    {
        self.autoencoder.decode(self.unscaled(latent))
    }
}
