//! Mean flows: the average velocity between two times, from data alone.

use burn::module::Module;
use burn::tensor::Tensor;
use ddm_denoiser::{AverageVelocity, ModelError, column, sum_each};
use ddm_noise::NoiseSource;
use ddm_schedule::{Invalid, NoiseSchedule, RectifiedFlow};

use super::teacher::noisy;
use crate::objective::at_least_f32;
use crate::{LogitNormal, TimeSampling, TrainError};

/// The loss of a mean flow: a network of [average velocities](AverageVelocity) is trained on data alone,
/// and samples in one step.
///
/// The average velocity satisfies `u(z_t, r, t) = v − (t − r) du/dt`, where d/dt is the derivative along the
/// path, `v ∂_z u + ∂_t u`. So on `z_t = (1 − t) x₀ + t ε`, with v = ε − x₀,
///
/// ```text
/// target = v − (t − r) (u(z + h v, r, t + h) − u(z − h v, r, t − h))/(2h)
/// loss   = ‖u(z, r, t) − target‖² / (‖u − target‖² + c)ᵖ     without gradient of target and divisor
/// ```
///
/// The paper takes the derivative by forward-mode differentiation, which burn has not. Here it is the
/// difference quotient along (v, 0, 1): two more calls of the network without gradients. At r = t, where the
/// target is v, the loss is flow matching exactly. Elsewhere the error of the derivative is `h²/6` of the third
/// derivative along the path, and of rounding about `10⁻⁷/h` of u, both times t − r: at h = 0.002, below 10⁻³ of u
/// for networks whose features turn by up to 30 radians from t = 0 to 1. The network is called up to h outside of
/// [0, 1]. There must be no dropout, or the two calls differ by more than time.
///
/// Times are two draws of a logit-normal distribution, r the lesser; for most samples r = t. Defaults, of the
/// paper: mean −0.4, std 1; r ≠ t for 25 %; p = 1, c = 10⁻³. Sample with `average_flow` of the samplers. Source:
/// Geng et al., *Mean Flows for One-step Generative Modeling*, algorithm 1 and sec. 4, arXiv 2505.13447.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::from_fn;
/// use ddm_train::{MeanFlow, StepNoise};
/// let mean_flow = MeanFlow::default();
/// // The exact average velocity of data that is always 0 is z/t: no error but that of rounding.
/// let zero = from_fn(|z: Tensor<2>, _r: Tensor<1>, t: Tensor<1>| z / t.unsqueeze_dim(1));
/// let example = mean_flow.draw(Tensor::zeros([64, 2], &Device::flex()), &mut StepNoise::new(0, 1))?;
/// let target = mean_flow.target(&zero, &example)?;
/// let found = mean_flow.velocity(&zero, &example)?;
/// assert!(example.loss(found, target)?.into_scalar::<f32>() < 0.01);
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanFlow<T = LogitNormal> {
    times: T,
    apart: f64,
    half_step: f64,
    power: f64,
}

/// A point of the straight path, its velocity and two times, for a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MeanFlowExample<const D: usize> {
    /// `z = (1 − t) x₀ + t ε`, on an autodiff device if the data was.
    pub z: Tensor<D>,
    /// The velocity v = ε − x₀.
    pub v: Tensor<D>,
    /// (r, t) of each sample, in [0, 1], r ≤ t.
    pub times: Vec<(f64, f64)>,
    power: f64,
}

impl Default for MeanFlow {
    fn default() -> Self {
        let times = LogitNormal::new(-0.4, 1.0).unwrap_or_default();
        Self { times, apart: 0.25, half_step: 2e-3, power: 1.0 }
    }
}

impl<T: TimeSampling> MeanFlow<T> {
    /// Sets the distribution of both times.
    pub fn time_sampling<U: TimeSampling>(self, times: U) -> MeanFlow<U> {
        let Self { apart, half_step, power, .. } = self;
        MeanFlow { times, apart, half_step, power }
    }

    /// Sets the share of samples with r ≠ t, the first ones of each batch; 0 is flow matching.
    ///
    /// # Errors
    ///
    /// Returns an error if it is outside [0, 1].
    pub fn apart(self, share: f64) -> Result<Self, Invalid> {
        let name = "the share of samples with r below t";
        Invalid::require((0.0..=1.0).contains(&share), name, share, "in [0, 1]")?;
        Ok(Self { apart: share, ..self })
    }

    /// Sets h of the difference quotient, in units of t in [0, 1].
    ///
    /// # Errors
    ///
    /// Returns an error unless it is from 10⁻⁵ to 0.1.
    pub fn half_step(self, h: f64) -> Result<Self, Invalid> {
        let name = "h of the difference quotient";
        Invalid::require((1e-5..=0.1).contains(&h), name, h, "from 1e-5 to 0.1")?;
        Ok(Self { half_step: h, ..self })
    }

    /// Sets p of the adaptive weight; 0 is the plain squared error.
    ///
    /// # Errors
    ///
    /// Returns an error if it is outside [0, 1].
    pub fn power(self, p: f64) -> Result<Self, Invalid> {
        let name = "the power of the adaptive weight";
        Invalid::require((0.0..=1.0).contains(&p), name, p, "in [0, 1]")?;
        Ok(Self { power: p, ..self })
    }

    /// Draws an example from data x₀ `[batch, …]`. The two times and ε are the next three draws.
    ///
    /// # Errors
    ///
    /// Returns an error if the noise cannot be read, or a time is outside [0, 1].
    pub fn draw<const D: usize>(
        &self,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<MeanFlowExample<D>, TrainError> {
        let taped = x0.is_autodiff();
        let x0 = at_least_f32(x0.inner());
        let batch = x0.dims()[0];
        let mut drawn = || -> Result<Vec<f64>, TrainError> {
            let uniform = self.times.spread(noise.uniform(batch)?);
            ModelError::require_batch("the times", uniform.len(), batch)?;
            let time = |u| {
                let time = self.times.time(u, &RectifiedFlow);
                Invalid::require((0.0..=1.0).contains(&time), "a sampled time", time, "in [0, 1]")?;
                Ok(time)
            };
            uniform.into_iter().map(time).collect()
        };
        let (one, other) = (drawn()?, drawn()?);
        let apart = (self.apart * batch as f64).round() as usize;
        let pair = |(i, (one, other)): (usize, (f64, f64))| {
            let t = one.max(other);
            (if i < apart { one.min(other) } else { t }, t)
        };
        let times: Vec<(f64, f64)> = one.into_iter().zip(other).enumerate().map(pair).collect();
        let epsilon: Tensor<D> = noise.draw(x0.dims(), &x0.device()).cast(x0.dtype());
        let levels: Vec<_> = times.iter().map(|&(_, t)| RectifiedFlow.level(t)).collect();
        let z = noisy(&x0, &epsilon, &levels);
        let z = if taped { z.autodiff() } else { z };
        Ok(MeanFlowExample { z, v: epsilon - x0, times, power: self.power })
    }

    /// Returns u(z, r, t) of a network for an example.
    ///
    /// # Errors
    ///
    /// Returns an error if it has another shape than z.
    pub fn velocity<const D: usize>(
        &self,
        network: &impl AverageVelocity<D>,
        example: &MeanFlowExample<D>,
    ) -> Result<Tensor<D>, TrainError> {
        example.velocity(network, example.z.clone(), 0.0)
    }

    /// Returns the target of an example, without gradients: `v − (t − r) du/dt`. Calls the network twice,
    /// or not at all if r = t for all samples. The network is one off the autodiff device, such as
    /// `network.valid()`.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`velocity`](Self::velocity).
    pub fn target<const D: usize>(
        &self,
        network: &impl AverageVelocity<D>,
        example: &MeanFlowExample<D>,
    ) -> Result<Tensor<D>, TrainError> {
        let MeanFlowExample { z, v, times, .. } = example;
        if times.iter().all(|(r, t)| r == t) {
            return Ok(v.clone());
        }
        let (z, h) = (z.clone().inner(), self.half_step);
        let at = |by: f64| example.velocity(network, z.clone() + v.clone() * by, by);
        let (after, before) = (at(h)?, at(-h)?);
        let lengths = column(v, times.iter().map(|(r, t)| (t - r) / (2.0 * h)));
        Ok(v.clone() - (after - before) * lengths)
    }

    /// Returns the loss of a network on data x₀ `[batch, …]`, of shape `[1]`.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`draw`](Self::draw) and [`velocity`](Self::velocity).
    pub fn loss<const D: usize, N: AverageVelocity<D> + Module>(
        &self,
        network: &N,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Tensor<1>, TrainError> {
        let example = self.draw(x0, noise)?;
        let target = self.target(&network.valid(), &example)?;
        example.loss(self.velocity(network, &example)?, target)
    }
}

impl<const D: usize> MeanFlowExample<D> {
    /// c of the adaptive weight.
    const FLOOR: f64 = 1e-3;

    /// Returns the loss of a velocity u(z, r, t), of shape `[1]`.
    ///
    /// # Errors
    ///
    /// Returns an error if the velocity or the target has another shape than z.
    pub fn loss(&self, velocity: Tensor<D>, target: Tensor<D>) -> Result<Tensor<1>, TrainError> {
        ModelError::require_prediction(velocity.dims(), self.z.dims())?;
        ModelError::require_prediction(target.dims(), self.z.dims())?;
        let error = velocity - target;
        let elements = error.dims()[1..].iter().product::<usize>() as f64;
        let square = sum_each(error.square());
        if self.power == 0.0 {
            return Ok((square / elements).mean());
        }
        let weight = (square.clone().detach() + Self::FLOOR).powf_scalar(-self.power);
        Ok((square * weight / elements).mean())
    }

    /// Returns u(z, r, t + `by`).
    fn velocity(
        &self,
        network: &impl AverageVelocity<D>,
        z: Tensor<D>,
        by: f64,
    ) -> Result<Tensor<D>, TrainError> {
        // Computed in f64: the sum t + h in single precision would lose digits of h.
        let time = |of: &dyn Fn(&(f64, f64)) -> f64| {
            let t = column(&z, self.times.iter().map(of));
            t.reshape([self.times.len()])
        };
        let (r, t) = (time(&|times| times.0), time(&|times| times.1 + by));
        let u = network.average_velocity(z.clone(), r, t);
        ModelError::require_prediction(u.dims(), z.dims())?;
        Ok(u.cast(z.dtype()))
    }
}
