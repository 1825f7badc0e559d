//! The training objective: noisy inputs, targets and a weighted loss.

use burn::tensor::{DType, FloatDType, Tensor};
use ddm_denoiser::{
    ConditionalPredictor, ModelError, NoisePredictor, Parameterization, column,
    linear_combination_each,
};
use ddm_noise::NoiseSource;
use ddm_schedule::{Invalid, NoiseLevel, NoiseSchedule};

use crate::epsilon::Epsilon;
use crate::{Example, Sampled, TimeSampling, TrainError, UniformTime, UniformWeight, Weighting};

/// The training objective: it draws examples `x_t = α x₀ + σ ε`, `target = p x₀ + q ε`, and a
/// weight per sample.
///
/// Each sample has its own time, drawn from a [`TimeSampling`]: by default uniform over the rows of
/// a β table, or over [0, 1]. [`loss`](Self::loss) calls a network. [`draw`](Self::draw) does not,
/// so it works with any network and condition. Examples are in f64 if x₀ is, and else in f32. The
/// schedule may be a value, a reference or an `Arc`. Source: Ho et al., algorithm 1, arXiv
/// 2006.11239 (F = ε, weight 1).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{VPrediction, from_fn};
/// use ddm_noise::HostNoise;
/// use ddm_schedule::Cosine;
/// use ddm_train::{MinSnr, Objective};
/// let objective = Objective::new(Cosine::default(), VPrediction)?.weighting(MinSnr::default());
/// let network = from_fn(|x: Tensor<2>, _t: Tensor<1>| x);
/// let data = Tensor::zeros([16, 2], &Device::flex());
/// let loss = objective.loss(&network, data, &mut HostNoise::new(0))?;
/// assert_eq!(loss.dims(), [1]);
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone)]
pub struct Objective<S, P, W = UniformWeight, T = UniformTime> {
    pub(crate) schedule: S,
    pub(crate) parameterization: P,
    weighting: W,
    time_sampling: T,
    pub(crate) epsilon: Epsilon,
    dtype: Option<FloatDType>,
}

impl<S: NoiseSchedule, P: Parameterization> Objective<S, P> {
    /// Creates the objective with weight 1 and uniform times.
    ///
    /// # Errors
    ///
    /// Returns an error for ε and score prediction on a table that ends without signal, where x₀
    /// cannot be computed from them.
    pub fn new(schedule: S, parameterization: P) -> Result<Self, ModelError> {
        if schedule.steps().is_some() {
            parameterization.check(schedule.level(1.0))?;
        }
        let (weighting, time_sampling, epsilon) = (UniformWeight, UniformTime, Epsilon::default());
        Ok(Self { schedule, parameterization, weighting, time_sampling, epsilon, dtype: None })
    }
}

impl<S: NoiseSchedule, P: Parameterization, W: Weighting, T: TimeSampling> Objective<S, P, W, T> {
    /// Sets the weighting.
    pub fn weighting<V: Weighting>(self, weighting: V) -> Objective<S, P, V, T> {
        let Self { schedule, parameterization, time_sampling, epsilon, dtype, .. } = self;
        Objective { schedule, parameterization, weighting, time_sampling, epsilon, dtype }
    }

    /// Sets the distribution of the times.
    pub fn time_sampling<U: TimeSampling>(self, time_sampling: U) -> Objective<S, P, W, U> {
        let Self { schedule, parameterization, weighting, epsilon, dtype, .. } = self;
        Objective { schedule, parameterization, weighting, time_sampling, epsilon, dtype }
    }

    /// Adds an offset to the noise: `ε + s n`, with one n ~ N(0, 1) per sample and channel (axis 1).
    ///
    /// A schedule that leaves some signal at its end never hides the mean color of an image, so
    /// that a network does not learn to choose it: samples are neither very dark nor very bright.
    /// An offset makes the mean noisier: its variance is `s² + 1/(h w)`. Usual: s = 0.05 to 0.1 in
    /// fine-tuning. A schedule of zero terminal SNR is the exact remedy. n is the next draw after ε;
    /// s = 0 draws none. Source: Guttenberg, *Diffusion with Offset Noise*, crosslabs.org, 2023.
    ///
    /// # Errors
    ///
    /// Returns an error if s is negative or not finite.
    pub fn noise_offset(mut self, s: f64) -> Result<Self, Invalid> {
        Invalid::require(s.is_finite() && s >= 0.0, "noise offset", s, "finite and at least 0")?;
        self.epsilon.offset = s;
        Ok(self)
    }

    /// Assigns the noise of each batch to its samples by optimal transport, see
    /// [`pair`](crate::pair): for flow matching. A sample's noise then depends on its batch.
    #[must_use]
    pub fn optimal_pairing(mut self) -> Self {
        self.epsilon.paired = true;
        self
    }

    /// Sets the float type of the network's x (f16, bf16, …), to which [`loss`](Self::loss) casts
    /// x. t stays in f32, since half precision cannot represent all timesteps.
    #[must_use]
    pub fn network_dtype(self, dtype: FloatDType) -> Self {
        Self { dtype: Some(dtype), ..self }
    }

    /// Returns the loss of a network on data x₀ `[batch, …]`, of shape `[1]`. Times and noise are
    /// the next two draws.
    ///
    /// # Errors
    ///
    /// Returns an error if the network does not accept the data, its prediction has another shape,
    /// or the noise cannot be read.
    pub fn loss<const D: usize>(
        &self,
        network: &impl NoisePredictor<D>,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError> {
        Ok(self.losses(network, x0, noise)?.1.mean())
    }

    /// Returns the loss as [`loss`](Self::loss), for a network with a condition.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`loss`](Self::loss), and an error if the network does not accept the
    /// condition.
    pub fn loss_with<const D: usize, N: ConditionalPredictor<D>>(
        &self,
        network: &N,
        x0: Tensor<D>,
        condition: N::Condition,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError> {
        Ok(self.losses_with(network, x0, condition, noise)?.1.mean())
    }

    /// Returns an example and the loss of each of its samples.
    pub(crate) fn losses<const D: usize>(
        &self,
        network: &impl NoisePredictor<D>,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<(Example<D>, Tensor<1>), TrainError> {
        network.check(x0.dims())?;
        let example = self.draw(x0, noise)?;
        let losses = example.losses(network.predict(self.cast(&example.x_t), example.t.clone()))?;
        Ok((example, losses))
    }

    /// Returns an example and the loss of each of its samples, for a network with a condition.
    pub(crate) fn losses_with<const D: usize, N: ConditionalPredictor<D>>(
        &self,
        network: &N,
        x0: Tensor<D>,
        condition: N::Condition,
        noise: &mut impl NoiseSource,
    ) -> Result<(Example<D>, Tensor<1>), TrainError> {
        network.check_with(x0.dims(), &condition)?;
        let example = self.draw(x0, noise)?;
        let (x, t) = (self.cast(&example.x_t), example.t.clone());
        let losses = example.losses(network.predict_with(x, t, condition))?;
        Ok((example, losses))
    }

    /// Draws an example from data x₀ `[batch, …]`. Times and noise are the next two draws.
    ///
    /// # Errors
    ///
    /// Returns an error if the noise cannot be read, the time sampling returns a time outside
    /// [0, 1], or noise and data cannot be [paired](Self::optimal_pairing).
    pub fn draw<const D: usize>(
        &self,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Example<D>, TrainError> {
        let sampled = self.sample(x0.dims()[0], noise)?;
        let epsilon = self.epsilon.draw(&x0, noise)?;
        Ok(self.compose(x0, sampled, epsilon))
    }

    /// Returns the example at given times in [0, 1], one per sample, with a given ε of the shape of
    /// x₀.
    ///
    /// # Errors
    ///
    /// Returns an error if the times or the noise do not match the data.
    pub fn example<const D: usize>(
        &self,
        x0: Tensor<D>,
        times: &[f64],
        epsilon: Tensor<D>,
    ) -> Result<Example<D>, ModelError> {
        ModelError::require_batch("the times", times.len(), x0.dims()[0])?;
        if x0.dims() != epsilon.dims() {
            return Err(ModelError::Shape {
                what: "the noise",
                found: format!("of shape {:?}", epsilon.dims()),
                expected: format!("the shape of the data, {:?}", x0.dims()),
            });
        }
        let sampled = times.iter().map(|&time| Sampled { time, importance: 1.0 }).collect();
        Ok(self.compose(x0, sampled, epsilon))
    }

    /// Draws the times of a batch, moved to times that can be trained.
    pub(crate) fn sample(
        &self,
        batch: usize,
        noise: &mut impl NoiseSource,
    ) -> Result<Vec<Sampled>, TrainError> {
        let uniform = self.time_sampling.spread(noise.uniform(batch)?);
        ModelError::require_batch("the times", uniform.len(), batch)?;
        let place = |time: f64| match self.schedule.steps() {
            Some(rows) => ((time * rows as f64).floor() + 1.0).min(rows as f64) / rows as f64,
            None => time.clamp(1e-5, 1.0 - 1e-5),
        };
        let sampled = uniform.into_iter().map(|u| {
            let time = self.time_sampling.time(u, &self.schedule);
            Invalid::require((0.0..=1.0).contains(&time), "a sampled time", time, "in [0, 1]")?;
            Ok(Sampled { time: place(time), importance: self.time_sampling.importance(time) })
        });
        sampled.collect()
    }

    pub(crate) fn compose<const D: usize>(
        &self,
        x0: Tensor<D>,
        sampled: Vec<Sampled>,
        epsilon: Tensor<D>,
    ) -> Example<D> {
        let x0 = at_least_f32(x0);
        let epsilon = epsilon.cast(x0.dtype());
        let levels: Vec<NoiseLevel> =
            sampled.iter().map(|of| self.schedule.level(of.time)).collect();
        let factors = |of: &dyn Fn(NoiseLevel) -> f64| -> Vec<f64> {
            levels.iter().map(|&at| of(at)).collect()
        };

        let seen = |at| self.parameterization.input_scale(at);
        let x_t = linear_combination_each([
            (factors(&|at| at.alpha * seen(at)), x0.clone()),
            (factors(&|at| at.sigma * seen(at)), epsilon.clone()),
        ]);
        let t = column(&x0, factors(&|at| self.parameterization.time(at))).reshape([levels.len()]);
        let weight = |(&at, of): (&NoiseLevel, &Sampled)| {
            self.weighting.weight(at, &self.parameterization) * of.importance
        };
        let weight = column(&x0, levels.iter().zip(&sampled).map(weight)).reshape([levels.len()]);
        let (p, q) = levels.iter().map(|&at| self.parameterization.target(at)).unzip();
        let target = linear_combination_each([(p, x0), (q, epsilon)]);
        Example { x_t, t, target, weight, sampled, levels }
    }

    pub(crate) fn cast<const D: usize>(&self, x: &Tensor<D>) -> Tensor<D> {
        match self.dtype {
            Some(dtype) => x.clone().cast(dtype),
            None => x.clone(),
        }
    }
}

/// Casts x to f32 unless it is f64: half precision is too coarse for times and coefficients.
pub(crate) fn at_least_f32<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.dtype() == DType::F64 { x } else { x.cast(DType::F32) }
}

impl<S, P: std::fmt::Debug, W: std::fmt::Debug, T> std::fmt::Debug for Objective<S, P, W, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objective")
            .field("parameterization", &self.parameterization)
            .field("weighting", &self.weighting)
            .field("epsilon", &self.epsilon)
            .finish_non_exhaustive()
    }
}
