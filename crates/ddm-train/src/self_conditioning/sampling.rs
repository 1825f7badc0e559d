//! Sampling with self-conditioned networks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{FloatDType, Tensor};
use ddm_denoiser::{Denoised, Denoiser, Model, ModelError, NoisePredictor, Parameterization};
use ddm_schedule::NoiseLevel;

use super::{beside, doubled};

/// A self-conditioned network as a denoiser: beside x, the network takes the x̂₀ that it predicted
/// last, and 0 in the first call of a run.
///
/// [`Objective::loss_self_conditioned`](crate::Objective::loss_self_conditioned) trains such a
/// network. The memory is cleared by [`check`](Denoiser::check), which each run calls at its start,
/// and by [`reset`](Self::reset). So it fits every sampler that goes from noise to data, whether it
/// calls the model once per step (DDIM, DDPM, multistep solvers) or more often (Heun: the estimate is
/// that of the call before). It does not fit two runs at a time over one reference, nor runs cloned in
/// the middle: give each run its own clone. Bind conditions and guidance to the network inside.
/// Source: Chen et al., *Analog Bits*, algorithm 2, arXiv 2208.04202.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Denoiser, X0Prediction, from_fn};
/// use ddm_schedule::NoiseLevel;
/// use ddm_train::SelfConditioned;
/// // A network that adds 1 to its last prediction.
/// let network = from_fn(|x: Tensor<2>, _: Tensor<1>| x.narrow(1, 1, 1) + 1.0);
/// let model = SelfConditioned::new(network, X0Prediction);
/// let (x, at) = (Tensor::zeros([3, 1], &Device::flex()), NoiseLevel::DATA);
/// assert_eq!(model.denoise(x.clone(), at).into_data().to_vec::<f32>(), Ok(vec![1.0; 3]));
/// assert_eq!(model.denoise(x.clone(), at).into_data().to_vec::<f32>(), Ok(vec![2.0; 3]));
/// model.reset();
/// assert_eq!(model.denoise(x, at).into_data().to_vec::<f32>(), Ok(vec![1.0; 3]));
/// ```
#[derive(Clone, Debug)]
pub struct SelfConditioned<const D: usize, N, P> {
    model: Model<Remembering<D, N>, P>,
}

/// A network of x and an estimate as one of x.
#[derive(Debug)]
struct Remembering<const D: usize, N> {
    network: N,
    last: Mutex<Option<Tensor<D>>>,
}

impl<const D: usize, N, P> SelfConditioned<D, N, P> {
    /// Creates a denoiser from a network whose input has twice the channels of x.
    pub fn new(network: N, parameterization: P) -> Self {
        let network = Remembering { network, last: Mutex::new(None) };
        Self { model: Model::new(network, parameterization) }
    }

    /// Sets the float type of the network's input and output, as [`Model::network_dtype`].
    #[must_use]
    pub fn network_dtype(self, dtype: FloatDType) -> Self {
        Self { model: self.model.network_dtype(dtype) }
    }

    /// Forgets the last prediction. A run does this at its start.
    pub fn reset(&self) {
        *self.model.network.last() = None;
    }
}

impl<const D: usize, N> Remembering<D, N> {
    fn last(&self) -> MutexGuard<'_, Option<Tensor<D>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const D: usize, N: Clone> Clone for Remembering<D, N> {
    fn clone(&self) -> Self {
        Self { network: self.network.clone(), last: Mutex::new(self.last().clone()) }
    }
}

impl<const D: usize, N: NoisePredictor<D>> NoisePredictor<D> for Remembering<D, N> {
    fn predict(&self, x: Tensor<D>, t: Tensor<1>) -> Tensor<D> {
        let last = self.last().clone().filter(|last| last.dims() == x.dims());
        let estimate = last.unwrap_or_else(|| x.zeros_like());
        self.network.predict(beside(x, estimate), t)
    }

    fn check(&self, shape: [usize; D]) -> Result<(), ModelError> {
        self.network.check(doubled(shape)?)
    }

    fn output_shape(&self, shape: [usize; D]) -> Option<[usize; D]> {
        self.network.output_shape(doubled(shape).ok()?)
    }
}

impl<const D: usize, N: NoisePredictor<D>, P: Parameterization> Denoiser<D>
    for SelfConditioned<D, N, P>
{
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let denoised = self.model.predict_x0(x, at);
        *self.model.network.last() = Some(denoised.x0.clone());
        denoised
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.reset();
        self.model.check(x, noisiest)
    }
}
