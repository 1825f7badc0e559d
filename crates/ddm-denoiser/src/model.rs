//! A network with its parameterization, as a denoiser.

use burn::tensor::{FloatDType, Tensor};
use ddm_schedule::NoiseLevel;

use crate::per_sample::{per_sample, times};
use crate::{
    Denoised, Denoiser, ModelError, NoisePredictor, Parameterization, full_precision,
    linear_combination_each,
};

/// A network with its parameterization, as a [`Denoiser`].
///
/// ```
/// use burn::tensor::{FloatDType, Tensor};
/// use ddm_denoiser::{FlowPrediction, Model, from_fn};
/// let network = from_fn(|x: Tensor<4>, _t: Tensor<1>| x);
/// let model = Model::new(network, FlowPrediction);
/// // A network in half precision: samplers keep x in single precision.
/// let halved = model.clone().network_dtype(FloatDType::F16);
/// assert_eq!((model.dtype, halved.dtype), (None, Some(FloatDType::F16)));
/// ```
#[derive(Clone, Debug)]
pub struct Model<N, P> {
    /// The network F.
    pub network: N,
    /// The quantity F predicts.
    pub parameterization: P,
    /// The float type of the network, if it differs from that of x.
    pub dtype: Option<FloatDType>,
    learned_variance: bool,
}

impl<N, P> Model<N, P> {
    /// Creates a model whose network computes in the float type of x, f32 or f64.
    pub fn new(network: N, parameterization: P) -> Self {
        Self { network, parameterization, dtype: None, learned_variance: false }
    }

    /// Sets the float type of the network's input x and output (f16, bf16, …). Only these two are
    /// cast. t stays in single precision: bf16 cannot represent timestep 998 (it becomes 1000), and
    /// f16 is exact up to 2048 only.
    #[must_use]
    pub fn network_dtype(self, dtype: FloatDType) -> Self {
        Self { dtype: Some(dtype), ..self }
    }

    /// Sets that the network learns its variance: it outputs twice the channels of x (axis 1), F in
    /// the first half, and in the second half u, the noise of a DDPM step.
    ///
    /// u means `v = (u + 1)/2`, see [`Denoised::variance`]. Samplers that set their noise
    /// themselves use F alone. In a guided model, F is guided, and u is that of the conditional
    /// prediction. Source: Nichol & Dhariwal, *Improved Denoising Diffusion Probabilistic Models*,
    /// eq. 15, arXiv 2102.09672.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_denoiser::{Denoiser, EpsilonPrediction, Model, from_fn};
    /// use ddm_schedule::NoiseLevel;
    /// let network = from_fn(|x: Tensor<2>, _t: Tensor<1>| Tensor::cat(vec![x.clone(), x], 1));
    /// let model = Model::new(network, EpsilonPrediction).learned_variance();
    /// let at = NoiseLevel { timestep: 0.0, alpha: 0.6, sigma: 0.8 };
    /// let found = model.predict_x0(Tensor::zeros([3, 2], &Device::flex()), &[at]);
    /// assert_eq!(found.x0.dims(), [3, 2]);
    /// assert_eq!(found.variance.map(|v| v.into_data().to_vec::<f32>()), Some(Ok(vec![0.5; 6])));
    /// ```
    #[must_use]
    pub fn learned_variance(self) -> Self {
        Self { learned_variance: true, ..self }
    }

    /// Returns the network's inputs: x, scaled and cast, and the timestep of each sample.
    pub(crate) fn input<const D: usize>(
        &self,
        x: &Tensor<D>,
        at: &[NoiseLevel],
    ) -> (Tensor<D>, Tensor<1>)
    where
        P: Parameterization,
    {
        let t = per_sample(x, at.iter().map(|&at| self.parameterization.time(at)));
        let scale: Vec<f64> = at.iter().map(|&at| self.parameterization.input_scale(at)).collect();
        let input = times(x.clone(), &scale);
        (self.dtype.map_or_else(|| input.clone(), |dtype| input.clone().cast(dtype)), t)
    }

    /// Returns the prediction of the data for x, from the network's output.
    pub(crate) fn denoised<const D: usize>(
        &self,
        x: Tensor<D>,
        output: Tensor<D>,
        at: &[NoiseLevel],
    ) -> Denoised<D>
    where
        P: Parameterization,
    {
        let output = output.cast(x.dtype());
        let (prediction, variance) = if self.learned_variance {
            let (prediction, v) = split(output, x.dims()[1]);
            (prediction, Some(v))
        } else {
            (output, None)
        };
        let (a, b): (Vec<f64>, Vec<f64>) =
            at.iter().map(|&at| self.parameterization.x0_from(at)).unzip();
        Denoised { x0: linear_combination_each([(a, x), (b, prediction)]), variance }
    }

    /// Checks that the network's output has the shape required for x: the declared shape, or else
    /// that of a trial call.
    pub(crate) fn check_output<const D: usize>(
        &self,
        x: &Tensor<D>,
        declared: Option<[usize; D]>,
        trial: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Result<(), ModelError> {
        let mut wanted = x.dims();
        if self.learned_variance {
            let channels = wanted.get_mut(1).ok_or_else(|| ModelError::Shape {
                what: "the shape of x",
                found: format!("{:?}", x.dims()),
                expected: "[batch, channels, …] for a learned variance".to_owned(),
            })?;
            *channels *= 2;
        }
        let found = declared.unwrap_or_else(|| trial(full_precision(x.clone())).dims());
        ModelError::require_prediction(found, wanted)
    }
}

/// Splits the output of a network that [learns its variance](Model::learned_variance) into (F, v)
/// with `v = (u + 1)/2`.
pub fn split_variance<const D: usize>(output: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let channels = output.dims()[1] / 2;
    split(output, channels)
}

/// F and v, each of `channels` channels.
fn split<const D: usize>(output: Tensor<D>, channels: usize) -> (Tensor<D>, Tensor<D>) {
    let v = (output.clone().narrow(1, channels, channels) + 1.0) * 0.5;
    (output.narrow(1, 0, channels), v)
}

impl<const D: usize, N: NoisePredictor<D>, P: Parameterization> Denoiser<D> for Model<N, P> {
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let x = full_precision(x);
        let (input, t) = self.input(&x, at);
        let output = self.network.predict(input, t);
        self.denoised(x, output, at)
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.parameterization.check(noisiest)?;
        self.network.check(x.dims())?;
        self.check_output(x, self.network.output_shape(x.dims()), |x| {
            let (input, t) = self.input(&x, &[noisiest]);
            self.network.predict(input, t)
        })
    }
}
