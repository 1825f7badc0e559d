//! A network and what it predicts, as a denoiser.

use burn::tensor::{FloatDType, Tensor};
use ddm_schedule::NoiseLevel;

use crate::per_sample::{per_sample, times};
use crate::{Denoised, Denoiser, ModelError, NoisePredictor, Parameterization, full_precision};

/// A network and what it predicts: together a [`Denoiser`].
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
    /// What F predicts.
    pub parameterization: P,
    /// The float type of the network, where it is another one than that of x.
    pub dtype: Option<FloatDType>,
    learned_variance: bool,
}

impl<N, P> Model<N, P> {
    /// A network that computes in the float type of x, f32 or f64.
    pub fn new(network: N, parameterization: P) -> Self {
        Self { network, parameterization, dtype: None, learned_variance: false }
    }

    /// The network takes and gives x in `dtype` (f16, bf16, …); x is cast on its way in and out, and
    /// only there. t stays in single precision: bf16 cannot tell timestep 998 from 1000, and f16 can
    /// do so up to 2048 only.
    #[must_use]
    pub fn network_dtype(self, dtype: FloatDType) -> Self {
        Self { dtype: Some(dtype), ..self }
    }

    /// The network gives twice the channels of x (axis 1): the first half is F, the second half u
    /// says how much noise a step of DDPM with learned variance adds.
    ///
    /// u is read as `v = (u + 1)/2`, see [`Denoised::variance`]. Samplers that choose their own
    /// noise use F alone. Of a guided model F is guided, and u that of the conditional prediction.
    /// Source: Nichol & Dhariwal, *Improved Denoising Diffusion Probabilistic Models*, eq. 15,
    /// arXiv 2102.09672.
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

    /// What the network sees: x, scaled and cast, and the time of each sample.
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
        let seen = times(x.clone(), &scale);
        (self.dtype.map_or_else(|| seen.clone(), |dtype| seen.clone().cast(dtype)), t)
    }

    /// The prediction of the data that the network's output means for x.
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
        Denoised { x0: times(x, &a) + times(prediction, &b), variance }
    }

    /// Refuses a network whose output has not the shape that x needs. `output` is the shape that the
    /// network declares, or else that of a trial call.
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

/// The two halves of the output of a network that [learns its variance](Model::learned_variance):
/// (F, v) with `v = (u + 1)/2`.
pub fn split_variance<const D: usize>(output: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let channels = output.dims()[1] / 2;
    split(output, channels)
}

/// F of so many channels, and v of as many.
fn split<const D: usize>(output: Tensor<D>, channels: usize) -> (Tensor<D>, Tensor<D>) {
    let v = (output.clone().narrow(1, channels, channels) + 1.0) * 0.5;
    (output.narrow(1, 0, channels), v)
}

impl<const D: usize, N: NoisePredictor<D>, P: Parameterization> Denoiser<D> for Model<N, P> {
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let x = full_precision(x);
        let (seen, t) = self.input(&x, at);
        let output = self.network.predict(seen, t);
        self.denoised(x, output, at)
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.parameterization.check(noisiest)?;
        self.network.check(x.dims())?;
        self.check_output(x, self.network.output_shape(x.dims()), |x| {
            let (seen, t) = self.input(&x, &[noisiest]);
            self.network.predict(seen, t)
        })
    }
}
