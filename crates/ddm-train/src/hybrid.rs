//! The hybrid loss: learning the variance beside the mean.

use std::f64::consts::LN_2;

use burn::tensor::Tensor;
use ddm_denoiser::{ModelError, Parameterization, column};
use ddm_noise::NoiseSource;
use ddm_schedule::{Invalid, NoiseSchedule};

use crate::chain::require_rows;
use crate::{ChainRows, Example, Objective, TrainError};

/// `L = L_simple + w L_vlb` for networks of [learned variance](ddm_denoiser::Model::learned_variance).
///
/// L_vlb is the bound on the negative log-likelihood, in bits a dimension, estimated from one row i
/// for each sample: T times `KL(q(x_{i−1} | x_i, x₀) ‖ p(x_{i−1} | x_i))`, and at row 0 the negative
/// log-probability of x₀'s own bin, for data in [−1, 1] with 256 values. It teaches the variance
/// alone: the mean in it is detached. Needs a β table. Usual w = 0.001.
/// Source: Nichol & Dhariwal, *Improved Denoising Diffusion Probabilistic Models*, sec. 3.1,
/// arXiv 2102.09672.
#[derive(Clone, Debug)]
pub struct Hybrid<'a, P> {
    objective: Objective<'a, P>,
    schedule: Table<'a>,
    parameterization: P,
    weight: f64,
}

#[derive(Clone)]
struct Table<'a>(&'a dyn NoiseSchedule, usize);

impl std::fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table of {} steps", self.1)
    }
}

/// An [`Example`] and what the bound needs beside it.
#[derive(Clone, Debug)]
pub struct HybridExample<const D: usize> {
    /// Input, time, target and weight, as without the bound.
    pub example: Example<D>,
    x0: Tensor<D>,
    rows: Rows<D>,
    weight: f64,
}

/// Coefficients of each sample's row, `[batch, 1, …]`.
#[derive(Clone, Debug)]
struct Rows<const D: usize> {
    /// (a, b) of x̂₀ = a x + b F.
    x0_from: [Tensor<D>; 2],
    chain: ChainRows<D>,
    steps: f64,
}

impl<'a, P: Parameterization + Clone> Hybrid<'a, P> {
    /// With weight w of the bound, at least 0. Refuses schedules without steps.
    pub fn new(
        schedule: &'a dyn NoiseSchedule,
        parameterization: P,
        weight: f64,
    ) -> Result<Self, TrainError> {
        let steps = TrainError::require_table(schedule)?;
        let holds = weight.is_finite() && weight >= 0.0;
        Invalid::require(holds, "weight of the bound", weight, "finite and at least 0")?;
        let objective = Objective::new(schedule, parameterization.clone())?;
        Ok(Self { objective, schedule: Table(schedule, steps), parameterization, weight })
    }

    /// An example from data x₀ `[batch, …]`, rows and noise being the next two draws.
    pub fn draw<const D: usize>(
        &self,
        x0: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Result<HybridExample<D>, TrainError> {
        let Table(_, steps) = self.schedule;
        let row = |u: f64| (u * steps as f64) as usize;
        let rows: Vec<usize> = noise.uniform(x0.dims()[0])?.into_iter().map(row).collect();
        let epsilon = noise.draw(x0.dims(), &x0.device()).cast(x0.dtype());
        let example = self.objective.compose(x0.clone(), &self.times(&rows), epsilon);
        Ok(HybridExample { example, rows: self.rows(&x0, &rows), x0, weight: self.weight })
    }

    /// The example at given rows 0 … T − 1, one a sample, with a given ε.
    pub fn example<const D: usize>(
        &self,
        x0: Tensor<D>,
        rows: &[usize],
        epsilon: Tensor<D>,
    ) -> Result<HybridExample<D>, TrainError> {
        require_rows(rows, self.schedule.1)?;
        let example = self.objective.example(x0.clone(), &self.times(rows), epsilon)?;
        Ok(HybridExample { example, rows: self.rows(&x0, rows), x0, weight: self.weight })
    }

    /// The schedule's times at these rows.
    fn times(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|&row| (row + 1) as f64 / self.schedule.1 as f64).collect()
    }

    fn rows<const D: usize>(&self, x0: &Tensor<D>, rows: &[usize]) -> Rows<D> {
        let Table(schedule, steps) = self.schedule;
        let level = |row: usize| schedule.level(row as f64 / steps as f64);
        let column = |of: &dyn Fn(usize) -> f64| column(x0, rows.iter().map(|&row| of(row)));
        Rows {
            x0_from: [
                // Of x as the network sees it: a preconditioned one sees it scaled.
                column(&|row| {
                    let at = level(row + 1);
                    self.parameterization.x0_from(at).0 / self.parameterization.input_scale(at)
                }),
                column(&|row| self.parameterization.x0_from(level(row + 1)).1),
            ],
            chain: ChainRows::of_table(schedule, steps, rows, x0),
            steps: steps as f64,
        }
    }
}

impl<const D: usize> HybridExample<D> {
    /// The loss of the network's two answers, F and v (see
    /// [`split_variance`](ddm_denoiser::split_variance)); of shape `[1]`.
    ///
    /// # Errors
    /// A prediction of another shape than the target.
    pub fn loss(&self, prediction: Tensor<D>, v: Tensor<D>) -> Result<Tensor<1>, TrainError> {
        ModelError::require_prediction(v.dims(), self.x0.dims())?;
        let simple = self.example.loss(prediction.clone())?;
        let bound = self.bits(prediction, v).mean() * self.rows.steps;
        Ok(simple + bound * self.weight)
    }

    /// This row's term of the bound in bits, for each element of x.
    pub fn bits(&self, prediction: Tensor<D>, v: Tensor<D>) -> Tensor<D> {
        let rows = &self.rows;
        let [a, b] = rows.x0_from.clone();
        let guess = self.example.x_t.clone() * a + prediction.detach() * b;
        let log_variance = rows.chain.log_variance(v);
        rows.chain.nats(self.x0.clone(), guess, log_variance) / LN_2
    }
}
