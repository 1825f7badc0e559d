//! What the autoencoders of this crate have in common.

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};
use ddm_denoiser::ModelError;
use ddm_latent::{Autoencoder, Posterior};

use crate::Prepared;
use crate::blocks::Ops;
use crate::blocks::plain::{to_channels_first, to_channels_last};

/// An autoencoder of this crate whose operations can be replaced.
pub trait AutoencoderNetwork: Module + Autoencoder<4> {
    /// Returns the number of channels of the images.
    fn image_channels(&self) -> usize;

    /// Returns `q(z | x)`, computed with `ops`.
    fn encode_with(&self, ops: &Ops, x: Tensor<4>) -> Posterior<4>;

    /// Returns `D(z)`, computed with `ops`.
    fn decode_with(&self, ops: &Ops, z: Tensor<4>) -> Tensor<4>;

    /// Returns the autoencoder with its weights packed for images of `shape`, `[batch, channels,
    /// height, width]`; as [`Network::prepare`](crate::Network::prepare).
    ///
    /// # Errors
    ///
    /// Returns an error if the autoencoder does not take images of `shape`.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_latent::Autoencoder;
    /// use ddm_models::{AutoencoderNetwork, AutoencoderTinyConfig};
    /// let vae = AutoencoderTinyConfig::new().init(&Device::flex())?;
    /// let fast = vae.clone().prepare([1, 3, 64, 64])?;
    /// let z = Tensor::<4>::ones([1, 4, 8, 8], &Device::flex());
    /// let difference = fast.decode(z.clone()) - vae.decode(z);
    /// assert!(difference.abs().max().into_scalar::<f32>() < 1e-4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn prepare(self, shape: [usize; 4]) -> Result<Prepared<Self>, ModelError> {
        Prepared::autoencoder(self, shape, None)
    }

    /// As [`prepare`](Self::prepare), with at most `bytes` for the packed weights of convolutions;
    /// as [`Network::prepare_within`](crate::Network::prepare_within).
    ///
    /// # Errors
    ///
    /// As there.
    fn prepare_within(self, shape: [usize; 4], bytes: usize) -> Result<Prepared<Self>, ModelError> {
        Prepared::autoencoder(self, shape, Some(bytes))
    }
}

/// Implements [`Autoencoder`] for a type by its [`AutoencoderNetwork`], and its methods
/// `check_image` and `check_latent` of `self`.
macro_rules! autoencoder {
    ($type:ty) => {
        impl Autoencoder<4> for $type {
            fn encode(&self, x: Tensor<4>) -> Posterior<4> {
                Ops::pass(&x.clone(), || self.encode_with(&Ops::default(), x))
            }
            fn decode(&self, z: Tensor<4>) -> Tensor<4> {
                Ops::pass(&z.clone(), || self.decode_with(&Ops::default(), z))
            }
            fn check_image(&self, shape: [usize; 4]) -> Result<(), ModelError> {
                let (channels, factor) = (self.image_channels(), self.factor());
                require_image("an image", shape, channels, factor)
            }
            fn check_latent(&self, shape: [usize; 4]) -> Result<(), ModelError> {
                require_image("a latent", shape, self.latent_channels(), 1)
            }
        }
    };
}
pub(super) use autoencoder;

/// Computes in `dtype` and channels last, with the dtype and the channels first outside.
pub(super) fn inside(
    x: Tensor<4>,
    dtype: FloatDType,
    network: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let outside = x.dtype();
    to_channels_first(network(to_channels_last(x.cast(dtype)))).cast(outside)
}

/// Returns the posterior of an encoder without one: almost certainly `z`.
pub(super) fn certain(z: Tensor<4>) -> Posterior<4> {
    let log_variance = z.full_like(-30.0);
    Posterior::new(z, log_variance)
}

/// Returns the dtype of the features of a network with weights of this dtype.
pub(super) fn features(
    weights: FloatDType,
    force_upcast: bool,
    ops: &Ops,
    x: &Tensor<4>,
) -> FloatDType {
    match weights {
        FloatDType::F16 | FloatDType::BF16 if force_upcast => FloatDType::F32,
        weights => ops.dtype(weights, x),
    }
}
