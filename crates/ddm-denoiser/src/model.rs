//! A network and what it predicts, as a denoiser.

use burn::tensor::{FloatDType, Tensor};
use ddm_schedule::NoiseLevel;

use crate::{Denoiser, ModelError, Network, Parameterization, column};

/// A network and what it predicts: together a [`Denoiser`].
///
/// ```
/// use burn::tensor::{FloatDType, Tensor};
/// use ddm_denoiser::{FlowPrediction, Model, from_fn};
/// let network = from_fn(|x: Tensor<4>, _t: Tensor<1>| x);
/// let model = Model::new(network, FlowPrediction);
/// // A network in half precision: samplers keep x in their own float type.
/// let halved = model.clone().network_dtype(FloatDType::F16);
/// assert_eq!((model.dtype, halved.dtype), (None, Some(FloatDType::F16)));
/// ```
#[derive(Clone, Debug)]
pub struct Model<N, P> {
    /// The network F.
    pub network: N,
    /// What F predicts.
    pub parameterization: P,
    /// The float type of the network, where it is another one than that of x.
    pub dtype: Option<FloatDType>,
}

impl<N, P> Model<N, P> {
    /// A network that computes in the float type of x.
    pub fn new(network: N, parameterization: P) -> Self {
        Self { network, parameterization, dtype: None }
    }

    /// The network takes and gives x in `dtype` (f16, bf16, …); x is cast at its door, and only
    /// there. t stays in the type of x, since half precision cannot tell timestep 998 from 999.
    pub fn network_dtype(self, dtype: FloatDType) -> Self {
        Self { dtype: Some(dtype), ..self }
    }

    /// The network's own answer: x scaled and cast at its door, and the time that it is told.
    pub(crate) fn ask<const D: usize>(&self, x: &Tensor<D>, at: NoiseLevel) -> Tensor<D>
    where
        N: Network<D>,
        P: Parameterization,
    {
        let told = self.parameterization.time(at);
        let t = Tensor::full([x.dims()[0]], told, (&x.device(), x.dtype()));
        let seen = match self.parameterization.input_scale(at) {
            1.0 => x.clone(),
            scale => x.clone() * scale,
        };
        self.predict(x, (seen, t), &[at])
    }

    /// As [`ask`](Self::ask), where every sample is at a level of its own.
    pub(crate) fn ask_each<const D: usize>(&self, x: &Tensor<D>, at: &[NoiseLevel]) -> Tensor<D>
    where
        N: Network<D>,
        P: Parameterization,
    {
        let t = column(x, at.iter().map(|&at| self.parameterization.time(at)));
        let scale = column(x, at.iter().map(|&at| self.parameterization.input_scale(at)));
        self.predict(x, (x.clone() * scale, t.reshape([at.len()])), at)
    }

    /// `x̂₀ = a x + b F`, where every sample is at a level of its own.
    pub(crate) fn x0_each<const D: usize>(
        &self,
        x: Tensor<D>,
        prediction: Tensor<D>,
        at: &[NoiseLevel],
    ) -> Tensor<D>
    where
        P: Parameterization,
    {
        let a = column(&x, at.iter().map(|&at| self.parameterization.x0_from(at).0));
        let b = column(&x, at.iter().map(|&at| self.parameterization.x0_from(at).1));
        x * a + prediction * b
    }

    fn predict<const D: usize>(
        &self,
        x: &Tensor<D>,
        (seen, t): (Tensor<D>, Tensor<1>),
        at: &[NoiseLevel],
    ) -> Tensor<D>
    where
        N: Network<D>,
    {
        match self.dtype {
            Some(dtype) => self.network.answer(seen.cast(dtype), t, at).cast(x.dtype()),
            None => self.network.answer(seen, t, at),
        }
    }
}

impl<const D: usize, N: Network<D>, P: Parameterization> Denoiser<D> for Model<N, P> {
    fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        let prediction = self.ask(&x, at);
        let (a, b) = self.parameterization.x0_from(at);
        x * a + prediction * b
    }

    fn denoise_each(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
        let prediction = self.ask_each(&x, at);
        self.x0_each(x, prediction, at)
    }

    fn check(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.parameterization.check(noisiest)?;
        self.network.check_run(shape, noisiest)
    }
}
