//! An autoencoder, one sample at a time.

use burn::tensor::Tensor;
use ddm_denoiser::ModelError;

use crate::{Autoencoder, Posterior};

/// An autoencoder that takes the samples of a batch one after another.
///
/// The result is the same, and the features of one sample at a time are in memory.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// # use ddm_latent::{Autoencoder, Posterior};
/// # struct Twice;
/// # impl Autoencoder<2> for Twice {
/// #     fn encode(&self, x: Tensor<2>) -> Posterior<2> {
/// #         let log_variance = x.full_like(-30.0);
/// #         Posterior::new(x * 2.0, log_variance)
/// #     }
/// #     fn decode(&self, z: Tensor<2>) -> Tensor<2> { z / 2.0 }
/// # }
/// use ddm_latent::Sliced;
/// let z = Tensor::<2>::from_floats([[2.0], [4.0]], &Device::flex());
/// let x = Sliced(Twice).decode(z); // two calls of Twice
/// assert_eq!(x.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Sliced<A>(pub A);

/// Returns each sample of a batch. A batch of none is one "sample", since a network gives its shape.
fn samples<const D: usize>(batch: &Tensor<D>) -> impl Iterator<Item = Tensor<D>> + '_ {
    let count = batch.dims()[0];
    (0..count.max(1)).map(move |sample| batch.clone().narrow(0, sample, count.min(1)))
}

impl<const D: usize, A: Autoencoder<D>> Autoencoder<D> for Sliced<A> {
    fn encode(&self, x: Tensor<D>) -> Posterior<D> {
        let posteriors: Vec<_> = samples(&x).map(|sample| self.0.encode(sample)).collect();
        let join = |part: fn(&Posterior<D>) -> Tensor<D>| {
            Tensor::cat(posteriors.iter().map(part).collect(), 0)
        };
        Posterior::new(join(Posterior::mean), join(Posterior::log_variance))
    }

    fn decode(&self, z: Tensor<D>) -> Tensor<D> {
        Tensor::cat(samples(&z).map(|sample| self.0.decode(sample)).collect(), 0)
    }

    fn check_image(&self, shape: [usize; D]) -> Result<(), ModelError> {
        self.0.check_image(shape)
    }

    fn check_latent(&self, shape: [usize; D]) -> Result<(), ModelError> {
        self.0.check_latent(shape)
    }
}
