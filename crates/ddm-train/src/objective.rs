//! The training objective: noisy inputs, targets and a weighted loss.

use burn::tensor::Tensor;
use ddm_denoiser::{ModelError, Parameterization, column};
use ddm_noise::NoiseSource;
use ddm_schedule::{NoiseLevel, NoiseSchedule};

use crate::{TrainError, Uniform, Weighting};

/// Draws training examples: `x_t = α x₀ + σ ε`, `target = p x₀ + q ε`, and a weight for each sample.
///
/// Every sample gets a time of its own: a row of a β table, each as likely as the other, or uniform
/// in [10⁻⁵, 1). Any network and any rank; conditions are yours to pass.
/// Source: Ho et al., algorithm 1, arXiv 2006.11239 (F = ε, weight 1).
#[derive(Clone)]
pub struct Objective<'a, P, W = Uniform> {
    schedule: &'a dyn NoiseSchedule,
    parameterization: P,
    weighting: W,
}

/// What the network is shown and should answer.
#[derive(Clone, Debug)]
pub struct Example<const D: usize> {
    /// The noisy data, `α x₀ + σ ε`; scaled as the network sees it, if it is preconditioned.
    pub x_t: Tensor<D>,
    /// What the network is told of the time, `[batch]`.
    pub t: Tensor<1>,
    /// What it should answer, `p x₀ + q ε`.
    pub target: Tensor<D>,
    /// How much each sample counts, `[batch]`.
    pub weight: Tensor<1>,
}

impl<const D: usize> Example<D> {
    /// The weighted mean squared error, `mean_i w_i mean ‖F_i − target_i‖²`; of shape `[1]`.
    ///
    /// # Errors
    /// A prediction of another shape than the target.
    pub fn loss(&self, prediction: Tensor<D>) -> Result<Tensor<1>, TrainError> {
        ModelError::require_prediction(prediction.dims(), self.target.dims())?;
        let error = (prediction - self.target.clone()).square();
        let of_sample: Tensor<2> = error.reshape([self.weight.dims()[0] as i64, -1]).mean_dim(1);
        Ok((of_sample.squeeze_dim(1) * self.weight.clone()).mean())
    }
}

impl<'a, P: Parameterization> Objective<'a, P> {
    /// With weight 1 everywhere. Refuses ε and score prediction on a table that ends without
    /// signal: they cannot be sampled from there.
    pub fn new(schedule: &'a dyn NoiseSchedule, parameterization: P) -> Result<Self, ModelError> {
        if schedule.steps().is_some() {
            parameterization.check(schedule.level(1.0))?;
        }
        Ok(Self { schedule, parameterization, weighting: Uniform })
    }
}

impl<'a, P: Parameterization, W: Weighting> Objective<'a, P, W> {
    /// With another weighting.
    pub fn weighting<V: Weighting>(self, weighting: V) -> Objective<'a, P, V> {
        let Self { schedule, parameterization, .. } = self;
        Objective { schedule, parameterization, weighting }
    }

    /// An example from data x₀ `[batch, …]`: times and noise are the next two draws.
    pub fn draw<const D: usize>(
        &self,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<Example<D>, TrainError> {
        let times: Vec<f64> = noise.uniform(x0.dims()[0])?.iter().map(|&u| self.time(u)).collect();
        let epsilon = noise.draw(x0.dims(), &x0.device()).cast(x0.dtype());
        Ok(self.compose(x0, &times, epsilon))
    }

    /// The example at given times in [0, 1], one a sample, with a given ε of the shape of x₀.
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
        Ok(self.compose(x0, times, epsilon))
    }

    /// The time that u, uniform on [0, 1), stands for.
    fn time(&self, u: f64) -> f64 {
        match self.schedule.steps() {
            Some(rows) => ((u * rows as f64).floor() + 1.0) / rows as f64,
            None => 1e-5 + (1.0 - 1e-5) * u,
        }
    }

    pub(crate) fn compose<const D: usize>(
        &self,
        x0: Tensor<D>,
        times: &[f64],
        epsilon: Tensor<D>,
    ) -> Example<D> {
        let levels: Vec<NoiseLevel> = times.iter().map(|&t| self.schedule.level(t)).collect();
        let factor = |of: &dyn Fn(NoiseLevel) -> f64| column(&x0, levels.iter().map(|&at| of(at)));
        let of_sample = |of: &dyn Fn(NoiseLevel) -> f64| factor(of).reshape([levels.len()]);

        let seen = |at| self.parameterization.input_scale(at);
        let x_t = x0.clone() * factor(&|at| at.alpha * seen(at))
            + epsilon.clone() * factor(&|at| at.sigma * seen(at));
        let target = x0.clone() * factor(&|at| self.parameterization.target(at).0)
            + epsilon * factor(&|at| self.parameterization.target(at).1);
        let weight = of_sample(&|at| self.weighting.weight(at, &self.parameterization));
        Example { x_t, t: of_sample(&|at| self.parameterization.time(at)), target, weight }
    }
}

impl<P: std::fmt::Debug, W: std::fmt::Debug> std::fmt::Debug for Objective<'_, P, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objective")
            .field("parameterization", &self.parameterization)
            .field("weighting", &self.weighting)
            .finish_non_exhaustive()
    }
}
