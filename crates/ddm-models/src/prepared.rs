//! Networks prepared for sampling.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor};
use ddm_latent::{Autoencoder, Posterior};

use crate::AutoencoderNetwork;
use crate::blocks::{Ops, pack};

/// A network of this crate whose operations can be replaced.
pub trait Network<const D: usize>: Module + NoisePredictor<D> + ConditionalPredictor<D> {
    /// Returns the prediction, computed with `ops`; without a condition, that of no class.
    fn forward_with(
        &self,
        ops: &Ops,
        x: Tensor<D>,
        t: Tensor<1>,
        condition: Option<Self::Condition>,
    ) -> Tensor<D>;

    /// Checks the shape of x alone. By default it is [`check`](NoisePredictor::check); a network that
    /// predicts nothing without a condition has its own.
    ///
    /// # Errors
    ///
    /// Returns an error if the network does not take inputs of `shape`.
    fn check_shape(&self, shape: [usize; D]) -> Result<(), ModelError> {
        self.check(shape)
    }

    /// Returns the network for sampling, with its weights packed for inputs of `shape`; the batch
    /// does not matter.
    ///
    /// It predicts the same, up to rounding, and takes inputs of other shapes too. On burn's `flex`
    /// the weights are transformed and packed for the kernels once, while a network as it is
    /// transforms them in each call; they are wider then, up to four times. On other devices, and in
    /// f64, nothing changes. See [`prepare_within`](Self::prepare_within) to limit the memory.
    ///
    /// # Errors
    ///
    /// Returns an error if the network does not take inputs of `shape`.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_denoiser::NoisePredictor;
    /// use ddm_models::{Network, UNetConfig};
    /// let network = UNetConfig::new(1, 1).with_channels(vec![8, 16]).with_head_size(Some(8));
    /// let network = network.init(&Device::flex())?;
    /// let fast = network.clone().prepare([1, 1, 8, 8])?;
    /// let x = Tensor::<4>::ones([2, 1, 8, 8], &Device::flex());
    /// let t = Tensor::<1>::full([2], 500.0, &Device::flex());
    /// let difference = fast.predict(x.clone(), t.clone()) - network.predict(x, t);
    /// assert!(difference.abs().max().into_scalar::<f32>() < 1e-5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn prepare(self, shape: [usize; D]) -> Result<Prepared<Self>, ModelError> {
        prepare(self, shape, None)
    }

    /// As [`prepare`](Self::prepare), with at most `bytes` for the packed weights of convolutions.
    /// Where these are short, the largest weights are packed smaller, for a slower method, and the
    /// last stay as they are and are transformed in each call; in half precision they stay half as
    /// wide.
    ///
    /// # Errors
    ///
    /// As there.
    fn prepare_within(self, shape: [usize; D], bytes: usize) -> Result<Prepared<Self>, ModelError> {
        prepare(self, shape, Some(bytes))
    }
}

fn prepare<const D: usize, N: Network<D>>(
    network: N,
    shape: [usize; D],
    memory: Option<usize>,
) -> Result<Prepared<N>, ModelError> {
    network.check_shape(shape)?;
    let mut one = shape;
    one[0] = 1;
    Ok(Prepared::new(network, memory, |network: &N, ops: &Ops, device: &Device| {
        let x = Tensor::<D>::zeros(one, (device, DType::F32));
        network.forward_with(ops, x, Tensor::zeros([1], device), None);
    }))
}

/// A network [prepared](Network::prepare) for sampling.
///
/// It predicts as the network does, and gradients with respect to x are as before; but its weights
/// get none, and cannot be saved.
#[derive(Clone, Debug)]
pub struct Prepared<N> {
    network: N,
    ops: Ops,
}

/// A network as it is, which packs its weights in each call.
impl<N> From<N> for Prepared<N> {
    fn from(network: N) -> Self {
        Self { network, ops: Ops::default() }
    }
}

impl<N> Prepared<N> {
    /// Returns the network if its weights are in it; `None` if they are packed.
    pub fn network(&self) -> Option<&N> {
        (!self.ops.has_weights()).then_some(&self.network)
    }
}

impl<N: Module> Prepared<N> {
    /// Returns the network and the operations that have its weights.
    pub(crate) fn parts(&self) -> (&N, &Ops) {
        (&self.network, &self.ops)
    }

    /// Packs the weights that `trial`, a pass through the network, uses.
    pub(crate) fn new(
        network: N,
        memory: Option<usize>,
        trial: impl FnOnce(&N, &Ops, &Device),
    ) -> Self {
        let without_tape = network.valid();
        drop(network); // or its weights would stay beside the packed ones
        let network = without_tape;
        match network.devices().into_iter().next() {
            Some(device) => {
                let trial = |network: &N, ops: &Ops| trial(network, ops, &device);
                let (network, ops) = pack(network, trial, memory);
                Self { network, ops }
            }
            None => Self { network, ops: Ops::default() },
        }
    }
}

impl<const D: usize, N: Network<D>> NoisePredictor<D> for Prepared<N> {
    fn predict(&self, x: Tensor<D>, t: Tensor<1>) -> Tensor<D> {
        Ops::pass(&x.clone(), || self.network.forward_with(&self.ops, x, t, None))
    }
    fn check(&self, shape: [usize; D]) -> Result<(), ModelError> {
        self.network.check(shape)
    }
    fn output_shape(&self, shape: [usize; D]) -> Option<[usize; D]> {
        self.network.output_shape(shape)
    }
}

impl<const D: usize, N: Network<D>> ConditionalPredictor<D> for Prepared<N> {
    type Condition = N::Condition;
    fn predict_with(&self, x: Tensor<D>, t: Tensor<1>, condition: N::Condition) -> Tensor<D> {
        Ops::pass(&x.clone(), || self.network.forward_with(&self.ops, x, t, Some(condition)))
    }
    fn check_with(&self, shape: [usize; D], condition: &N::Condition) -> Result<(), ModelError> {
        self.network.check_with(shape, condition)
    }
    fn output_shape_with(&self, shape: [usize; D]) -> Option<[usize; D]> {
        self.network.output_shape_with(shape)
    }
}

/// Implements [`ConditionalPredictor`] for a prepared network by its `forward_with`.
macro_rules! conditional {
    ($network:ty, $rank:literal, $condition:ty, $forward:expr) => {
        impl ddm_denoiser::ConditionalPredictor<$rank> for $crate::Prepared<$network> {
            type Condition = $condition;

            fn predict_with(
                &self,
                x: burn::tensor::Tensor<$rank>,
                t: burn::tensor::Tensor<1>,
                condition: $condition,
            ) -> burn::tensor::Tensor<$rank> {
                let (network, ops) = self.parts();
                $crate::blocks::Ops::pass(&x.clone(), || $forward(network, ops, x, t, condition))
            }

            fn check_with(
                &self,
                shape: [usize; $rank],
                condition: &$condition,
            ) -> Result<(), ddm_denoiser::ModelError> {
                self.parts().0.check_with(shape, condition)
            }

            fn output_shape_with(&self, shape: [usize; $rank]) -> Option<[usize; $rank]> {
                self.parts().0.output_shape_with(shape)
            }
        }
    };
}
pub(crate) use conditional;

impl<N: AutoencoderNetwork> Prepared<N> {
    /// Packs the weights of an autoencoder for images of `shape`.
    pub(crate) fn autoencoder(
        network: N,
        shape: [usize; 4],
        memory: Option<usize>,
    ) -> Result<Self, ModelError> {
        let [_, channels, height, width] = shape;
        network.check_image(shape)?;
        Ok(Self::new(network, memory, |network: &N, ops: &Ops, device: &Device| {
            let image = Tensor::zeros([1, channels, height, width], (device, DType::F32));
            network.decode_with(ops, network.encode_with(ops, image).mode());
        }))
    }
}

impl<N: AutoencoderNetwork> Autoencoder<4> for Prepared<N> {
    fn encode(&self, x: Tensor<4>) -> Posterior<4> {
        Ops::pass(&x.clone(), || self.network.encode_with(&self.ops, x))
    }
    fn decode(&self, z: Tensor<4>) -> Tensor<4> {
        Ops::pass(&z.clone(), || self.network.decode_with(&self.ops, z))
    }
    fn check_image(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        self.network.check_image(shape)
    }
    fn check_latent(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        self.network.check_latent(shape)
    }
}
