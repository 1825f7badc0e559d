//! Networks that learn how much noise a step should add.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use crate::{Denoiser, Model, ModelError, Network, Parameterization};

/// A network with twice the channels of x: the first half is F, the second says where between the
/// posterior's variance β̃ and the chain's β the noise of a step lies.
///
/// The second half u is read as `v = (u + 1)/2`, and DDPM with learned variance then adds noise of
/// variance `β^v β̃^(1−v)`. Samplers that choose their own noise use F alone. Channels are axis 1.
/// Of a guided network F is guided, and u the conditional answer's.
/// Source: Nichol & Dhariwal, *Improved Denoising Diffusion Probabilistic Models*, eq. 15,
/// arXiv 2102.09672.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Denoiser, EpsilonPrediction, LearnedVariance, from_fn};
/// use ddm_schedule::NoiseLevel;
/// let network = from_fn(|x: Tensor<2>, _t: Tensor<1>| Tensor::cat(vec![x.clone(), x], 1));
/// let model = LearnedVariance::new(network, EpsilonPrediction);
/// let at = NoiseLevel { timestep: 0.0, alpha: 0.6, sigma: 0.8 };
/// let (x0, v) = model.denoise_with_variance(Tensor::zeros([3, 2], &Device::flex()), at);
/// assert_eq!(x0.dims(), [3, 2]);
/// assert_eq!(v.map(|v| v.into_data().to_vec::<f32>()), Some(Ok(vec![0.5; 6])));
/// ```
#[derive(Clone, Debug)]
pub struct LearnedVariance<N, P> {
    /// The network, `[batch, c, …]` to `[batch, 2c, …]`, and what the first half of its answer is.
    pub model: Model<N, P>,
}

impl<N, P> LearnedVariance<N, P> {
    /// A network of two answers.
    pub fn new(network: N, parameterization: P) -> Self {
        Self { model: Model::new(network, parameterization) }
    }
}

/// The two halves of such a network's answer: (F, v).
pub fn split_variance<const D: usize>(answer: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let channels = answer.dims()[1] / 2;
    split(answer, channels)
}

/// F of so many channels, and v of as many.
fn split<const D: usize>(answer: Tensor<D>, channels: usize) -> (Tensor<D>, Tensor<D>) {
    let v = (answer.clone().narrow(1, channels, channels) + 1.0) * 0.5;
    (answer.narrow(1, 0, channels), v)
}

impl<const D: usize, N, P> Denoiser<D> for LearnedVariance<N, P>
where
    N: Network<D>,
    P: Parameterization,
{
    fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.denoise_with_variance(x, at).0
    }

    fn denoise_with_variance(
        &self,
        x: Tensor<D>,
        at: NoiseLevel,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let (prediction, v) = split(self.model.ask(&x, at), x.dims()[1]);
        let (a, b) = self.model.parameterization.x0_from(at);
        (x * a + prediction * b, Some(v))
    }

    fn denoise_each(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
        let (prediction, _) = split(self.model.ask_each(&x, at), x.dims()[1]);
        self.model.x0_each(x, prediction, at)
    }

    fn check(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        if D < 2 {
            let (found, expected) = (format!("{shape:?}"), "[batch, channels, …]".to_owned());
            return Err(ModelError::Shape { what: "the shape of x", found, expected });
        }
        self.model.check(shape, noisiest)
    }
}
