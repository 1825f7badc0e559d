//! Learned weights of noise levels.

use std::f64::consts::TAU;

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use ddm_denoiser::{ConditionalPredictor, ModelError, NoisePredictor, Parameterization};
use ddm_noise::NoiseSource;
use ddm_schedule::{NoiseLevel, NoiseSchedule};

use crate::times::normal;
use crate::{Example, Objective, TimeSampling, TrainError, Weighting};

/// A learned u(σ), the logarithm of the loss at a noise level, which balances the levels:
/// `L = w ‖F − target‖²/e^u(σ) + u(σ)`.
///
/// Its optimum is `u = ln E[w ‖F − target‖²]`, where each level's gradient counts as if its loss
/// were 1, whatever the [`Weighting`]. u is a linear layer on 128 Fourier features of `ln(σ/α)/4`,
/// and 0 at first. Only training uses it. Sources: Kendall et al., *Multi-Task Learning Using Uncertainty
/// to Weigh Losses*, arXiv 1705.07115; for noise levels Karras et al., *Analyzing and Improving the
/// Training Dynamics of Diffusion Models*, arXiv 2312.02696.
#[derive(Module, Debug)]
pub struct Uncertainty {
    linear: Linear,
}

impl Uncertainty {
    const FEATURES: usize = 128;

    /// Creates u = 0.
    pub fn new(device: &Device) -> Self {
        let config = LinearConfig::new(Self::FEATURES, 1);
        let config = config.with_initializer(Initializer::Zeros);
        Self { linear: config.init(device) }
    }

    /// Returns u at these levels, `[levels]`. ln(σ/α) is limited to ±20.
    pub fn log_variance(&self, levels: &[NoiseLevel]) -> Tensor<1> {
        let weight = self.linear.weight.val();
        let features: Vec<f64> = levels.iter().flat_map(features).collect();
        let features = TensorData::new(features, [levels.len(), Self::FEATURES]);
        let features = Tensor::<2>::from_data(features, (&weight.device(), weight.dtype()));
        self.linear.forward(features).squeeze_dim(1)
    }

    /// Returns `mean (L/e^u + u)` of the losses of an example's samples, [`Example::losses`].
    ///
    /// # Errors
    ///
    /// Returns an error if the losses are not one per sample.
    pub fn loss<const D: usize>(
        &self,
        example: &Example<D>,
        losses: Tensor<1>,
    ) -> Result<Tensor<1>, TrainError> {
        ModelError::require_batch("the losses", losses.dims()[0], example.levels.len())?;
        let u = self.log_variance(&example.levels).cast(losses.dtype());
        let importance: Vec<f64> = example.sampled.iter().map(|of| of.importance).collect();
        let importance = TensorData::new(importance, [losses.dims()[0]]);
        let importance = Tensor::from_data(importance, (&losses.device(), losses.dtype()));
        Ok((losses * u.clone().neg().exp() + u * importance).mean())
    }
}

/// √2 cos(f x + φ) of `x = ln(σ/α)/4`: the frequencies are quantiles of 2π N(0, 1), and the phases
/// cover the circle evenly, in place of random ones, so that there is nothing to save.
fn features(at: &NoiseLevel) -> impl Iterator<Item = f64> + use<> {
    let x = (-at.lambda()).clamp(-20.0, 20.0) / 4.0;
    let count = Uncertainty::FEATURES;
    (0..count).map(move |k| {
        let frequency = TAU * normal((k as f64 + 0.5) / count as f64, 0.0, 1.0);
        let phase = TAU * (k as f64 * GOLDEN).fract();
        2.0_f64.sqrt() * (frequency * x + phase).cos()
    })
}

/// The golden ratio less 1, whose multiples cover [0, 1) evenly.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// A network that is trained beside an [`Uncertainty`], as one module: for
/// [`Training`](crate::Training), which then averages, saves and resumes both.
///
/// `network` is what remains after training.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::AdamWConfig;
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::EdmPrediction;
/// use ddm_models::MlpConfig;
/// use ddm_schedule::LinearVp;
/// use ddm_train::{EdmWeight, LogNormal, Objective, Training, WithUncertainty};
/// let device = Device::flex().autodiff();
/// let objective = Objective::new(LinearVp::default(), EdmPrediction::default())?
///     .weighting(EdmWeight::default())
///     .time_sampling(LogNormal::default());
/// let network = WithUncertainty::new(MlpConfig::new().with_hidden(16).init(&device)?, &device);
/// let training = Training { steps: 10, ema_decay: 0.9, seed: 1 };
/// let trained = training.run(network, AdamWConfig::new().init(), 1e-3, |network, noise| {
///     network.loss(&objective, Tensor::<2>::ones([8, 2], &device), noise)
/// })?;
/// let for_sampling = trained.average.network;
/// # let _ = for_sampling;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct WithUncertainty<N: Module> {
    /// The network.
    pub network: N,
    /// The logarithm of its loss by noise level.
    pub uncertainty: Uncertainty,
}

impl<N: Module> WithUncertainty<N> {
    /// Adds u = 0 to a network, on its device.
    pub fn new(network: N, device: &Device) -> Self {
        Self { network, uncertainty: Uncertainty::new(device) }
    }

    /// Returns the loss `mean (L/e^u + u)`, where L is that of [`Objective::loss`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Objective::loss`].
    pub fn loss<const D: usize>(
        &self,
        objective: &Objective<
            impl NoiseSchedule,
            impl Parameterization,
            impl Weighting,
            impl TimeSampling,
        >,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError>
    where
        N: NoisePredictor<D>,
    {
        let (example, losses) = objective.losses(&self.network, x0, noise)?;
        self.uncertainty.loss(&example, losses)
    }

    /// Returns the loss as [`loss`](Self::loss), for a network with a condition.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Objective::loss_with`].
    pub fn loss_with<const D: usize>(
        &self,
        objective: &Objective<
            impl NoiseSchedule,
            impl Parameterization,
            impl Weighting,
            impl TimeSampling,
        >,
        x0: Tensor<D>,
        condition: N::Condition,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError>
    where
        N: ConditionalPredictor<D>,
    {
        let (example, losses) = objective.losses_with(&self.network, x0, condition, noise)?;
        self.uncertainty.loss(&example, losses)
    }
}
