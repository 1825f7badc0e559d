//! The hybrid loss, which also trains the variance.

use std::f64::consts::LN_2;

use burn::tensor::Tensor;
use ddm_denoiser::{ChainRows, ModelError, Parameterization, column};
use ddm_noise::NoiseSource;
use ddm_schedule::{Invalid, NoiseLevel, NoiseSchedule};

use crate::objective::at_least_f32;
use crate::{Example, Objective, TimeSampling, TrainError, UniformTime, UniformWeight};

/// The hybrid loss `L = L_simple + w L_vlb` for networks of [learned
/// variance](ddm_denoiser::Model::learned_variance).
///
/// L_vlb is the bound on the negative log-likelihood, in bits per dimension, estimated from one row
/// i per sample: T times `KL(q(x_{i−1} | x_i, x₀) ‖ p(x_{i−1} | x_i))`, and at row 0 the negative
/// log-probability of the bin of x₀, for data in [−1, 1] with 256 values. It trains only the
/// variance: its mean is detached. Requires a β table. Usual: w = 0.001.
/// Source: Nichol & Dhariwal, *Improved Denoising Diffusion Probabilistic Models*, sec. 3.1,
/// arXiv 2102.09672.
#[derive(Clone, Debug)]
pub struct Hybrid<S, P, T = UniformTime> {
    objective: Objective<S, P, UniformWeight, T>,
    steps: usize,
    weight: f64,
}

/// An [`Example`] with the further inputs of the bound.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HybridExample<const D: usize> {
    /// Input, time, target and weight of L_simple.
    pub example: Example<D>,
    x0: Tensor<D>,
    rows: Rows<D>,
    weight: f64,
}

/// The coefficients of each sample's row, `[batch, 1, …]`.
#[derive(Clone, Debug)]
struct Rows<const D: usize> {
    /// (a, b) of x̂₀ = a x + b F.
    x0_from: [Tensor<D>; 2],
    chain: ChainRows<D>,
    importance: Tensor<D>,
    steps: f64,
}

impl<S: NoiseSchedule, P: Parameterization> Hybrid<S, P> {
    /// Creates the loss with weight w ≥ 0 of the bound, and uniform times.
    ///
    /// # Errors
    ///
    /// Returns an error if the schedule is not a β table, or the weight is out of range.
    pub fn new(schedule: S, parameterization: P, weight: f64) -> Result<Self, TrainError> {
        let steps = ModelError::require_table(&schedule)?;
        let holds = weight.is_finite() && weight >= 0.0;
        Invalid::require(holds, "weight of the bound", weight, "finite and at least 0")?;
        Ok(Self { objective: Objective::new(schedule, parameterization)?, steps, weight })
    }
}

impl<S: NoiseSchedule, P: Parameterization, T: TimeSampling> Hybrid<S, P, T> {
    /// Sets the distribution of the rows.
    pub fn time_sampling<U: TimeSampling>(self, time_sampling: U) -> Hybrid<S, P, U> {
        let Self { objective, steps, weight } = self;
        Hybrid { objective: objective.time_sampling(time_sampling), steps, weight }
    }

    /// Draws an example from data x₀ `[batch, …]`. Rows and noise are the next two draws.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Objective::draw`].
    pub fn draw<const D: usize>(
        &self,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<HybridExample<D>, TrainError> {
        let sampled = self.objective.sample(x0.dims()[0], noise)?;
        let epsilon = self.objective.epsilon.draw(&x0, noise)?;
        self.with_rows(x0.clone(), self.objective.compose(x0, sampled, epsilon))
    }

    /// Returns the example at given rows 0 … T − 1, one per sample, with a given ε.
    ///
    /// # Errors
    ///
    /// Returns an error if a row is outside the table, or the rows or the noise do not match the
    /// data.
    pub fn example<const D: usize>(
        &self,
        x0: Tensor<D>,
        rows: &[usize],
        epsilon: Tensor<D>,
    ) -> Result<HybridExample<D>, TrainError> {
        let times: Vec<f64> =
            rows.iter().map(|&row| (row + 1) as f64 / self.steps as f64).collect();
        let example = self.objective.example(x0.clone(), &times, epsilon)?;
        self.with_rows(x0, example)
    }

    fn with_rows<const D: usize>(
        &self,
        x0: Tensor<D>,
        example: Example<D>,
    ) -> Result<HybridExample<D>, TrainError> {
        let Objective { schedule, parameterization, .. } = &self.objective;
        let x0 = at_least_f32(x0);
        let (steps, sampled) = (self.steps as f64, &example.sampled);
        let rows: Vec<usize> =
            sampled.iter().map(|of| (of.time * steps).round() as usize - 1).collect();
        let column = |of: &dyn Fn(NoiseLevel) -> f64| {
            column(&x0, sampled.iter().map(|sampled| of(schedule.level(sampled.time))))
        };
        let rows = Rows {
            x0_from: [
                // For the network's x, which preconditioning scales.
                column(&|at| parameterization.x0_from(at).0 / parameterization.input_scale(at)),
                column(&|at| parameterization.x0_from(at).1),
            ],
            chain: ChainRows::new(schedule, &rows, &x0)?,
            importance: ddm_denoiser::column(&x0, sampled.iter().map(|of| of.importance)),
            steps,
        };
        Ok(HybridExample { example, rows, x0, weight: self.weight })
    }
}

impl<const D: usize> HybridExample<D> {
    /// Returns the loss of the network's two predictions, F and v (see
    /// [`split_variance`](ddm_denoiser::split_variance)), of shape `[1]`.
    ///
    /// # Errors
    ///
    /// Returns an error if the prediction has another shape than the target.
    pub fn loss(&self, prediction: Tensor<D>, v: Tensor<D>) -> Result<Tensor<1>, TrainError> {
        ModelError::require_prediction(v.dims(), self.x0.dims())?;
        let simple = self.example.loss(prediction.clone())?;
        let bits = self.bits(prediction, v) * self.rows.importance.clone();
        let bound = bits.mean() * self.rows.steps;
        Ok(simple + bound * self.weight)
    }

    /// Returns this row's term of the bound in bits, per element of x.
    pub fn bits(&self, prediction: Tensor<D>, v: Tensor<D>) -> Tensor<D> {
        let rows = &self.rows;
        let [a, b] = rows.x0_from.clone();
        let prediction = prediction.detach().cast(self.x0.dtype());
        let x0 = self.example.x_t.clone() * a + prediction * b;
        let log_variance = rows.chain.log_variance(v.cast(self.x0.dtype()));
        rows.chain.nats(self.x0.clone(), x0, log_variance) / LN_2
    }
}
