//! The hybrid loss: learning the variance beside the mean.

use std::f64::consts::{LN_2, SQRT_2};

use burn::tensor::{Bool, Tensor, TensorData};
use ddm_denoiser::{ModelError, Parameterization, column};
use ddm_noise::{HostNoise, NoiseSource};
use ddm_schedule::{NoiseSchedule, kernel};

use crate::{Example, Objective, TrainError};

/// `L = L_simple + w L_vlb` for networks of [learned variance](ddm_denoiser::LearnedVariance).
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
    /// Factor of x₀ in the mean of the posterior.
    mean: Tensor<D>,
    log_small: Tensor<D>,
    log_large: Tensor<D>,
    is_first: Tensor<D, Bool>,
    steps: f64,
}

impl<'a, P: Parameterization + Clone> Hybrid<'a, P> {
    /// With weight w of the bound, at least 0. Refuses schedules without steps.
    pub fn new(
        schedule: &'a dyn NoiseSchedule,
        parameterization: P,
        weight: f64,
    ) -> Result<Self, TrainError> {
        let allowed = "a table of at least 2 steps, for a loss that learns the variance";
        let steps = schedule.steps().unwrap_or(0);
        TrainError::require(
            steps >= 2,
            "the number of the schedule's steps",
            steps as f64,
            allowed,
        )?;
        let holds = weight.is_finite() && weight >= 0.0;
        TrainError::require(holds, "weight of the bound", weight, "finite and at least 0")?;
        let objective = Objective::new(schedule, parameterization.clone())?;
        Ok(Self { objective, schedule: Table(schedule, steps), parameterization, weight })
    }

    /// An example from data x₀ `[batch, …]`, rows and noise being the next two draws.
    pub fn draw<const D: usize>(&self, x0: Tensor<D>, noise: &mut HostNoise) -> HybridExample<D> {
        let Table(_, steps) = self.schedule;
        let row = |u: f64| (u * steps as f64) as usize;
        let rows: Vec<usize> = noise.uniform(x0.dims()[0]).into_iter().map(row).collect();
        let epsilon = noise.draw(x0.dims(), &x0.device()).cast(x0.dtype());
        let example = self.objective.compose(x0.clone(), &self.times(&rows), epsilon);
        HybridExample { example, rows: self.rows(&x0, &rows), x0, weight: self.weight }
    }

    /// The example at given rows 0 … T − 1, one a sample, with a given ε.
    pub fn example<const D: usize>(
        &self,
        x0: Tensor<D>,
        rows: &[usize],
        epsilon: Tensor<D>,
    ) -> Result<HybridExample<D>, ModelError> {
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
        let mut broadcast = [1; D];
        broadcast[0] = rows.len();
        let column = |of: &dyn Fn(usize) -> f64| column(x0, rows.iter().map(|&row| of(row)));
        // At row 0 the posterior has no variance; row 1's stands in, as in the paper's program.
        let small = |row: usize| {
            let row = row.max(1);
            2.0 * kernel::ddim_std(level(row + 1), level(row), 1.0).ln()
        };
        let large = |row: usize| 2.0 * kernel::forward(level(row), level(row + 1)).noise.ln();
        let mean = |row: usize| {
            let (from, to) = (level(row + 1), level(row));
            kernel::reverse(from, to, kernel::ddim_std(from, to, 1.0)).x0
        };
        let first: Vec<bool> = rows.iter().map(|&row| row == 0).collect();
        Rows {
            x0_from: [
                // Of x as the network sees it: a preconditioned one sees it scaled.
                column(&|row| {
                    let at = level(row + 1);
                    self.parameterization.x0_from(at).0 / self.parameterization.input_scale(at)
                }),
                column(&|row| self.parameterization.x0_from(level(row + 1)).1),
            ],
            mean: column(&mean),
            log_small: column(&small),
            log_large: column(&large),
            is_first: Tensor::<D, Bool>::from_data(TensorData::new(first, broadcast), &x0.device()),
            steps: steps as f64,
        }
    }
}

impl<const D: usize> HybridExample<D> {
    /// The loss of the network's two answers, F and v (see
    /// [`split_variance`](ddm_denoiser::split_variance)); of shape `[1]`.
    pub fn loss(&self, prediction: Tensor<D>, v: Tensor<D>) -> Tensor<1> {
        let bound = self.bits(prediction.clone(), v).mean() * self.rows.steps;
        self.example.loss(prediction) + bound * self.weight
    }

    /// This row's term of the bound in bits, for each element of x.
    pub fn bits(&self, prediction: Tensor<D>, v: Tensor<D>) -> Tensor<D> {
        let rows = &self.rows;
        let [a, b] = rows.x0_from.clone();
        let guess = self.example.x_t.clone() * a + prediction.detach() * b;
        let log_variance =
            v.clone() * rows.log_large.clone() + (v.neg() + 1.0) * rows.log_small.clone();

        let apart = (self.x0.clone() - guess.clone()) * rows.mean.clone();
        let ratio = rows.log_small.clone() - log_variance.clone();
        let kl =
            (apart.square() * log_variance.clone().neg().exp() + ratio.clone().exp() - ratio - 1.0)
                * 0.5;
        let own_bin = -log_bin(self.x0.clone(), guess, (log_variance * 0.5).exp());
        let first = rows.is_first.clone().expand(kl.dims());
        kl.mask_where(first, own_bin) / LN_2
    }
}

/// `ln P(x₀'s bin)` under N(mean, std²) for 256 bins that fill [−1, 1]; the outermost reach to ±∞.
fn log_bin<const D: usize>(x0: Tensor<D>, mean: Tensor<D>, std: Tensor<D>) -> Tensor<D> {
    let half = 1.0 / 255.0;
    let below = |edge: Tensor<D>| ((edge - mean.clone()) / std.clone() / SQRT_2).erf() * 0.5 + 0.5;
    let upper = below(x0.clone() + half);
    let lower = below(x0.clone() - half);
    let upper = upper.mask_fill(x0.clone().greater_elem(0.999), 1.0);
    let lower = lower.mask_fill(x0.lower_elem(-0.999), 0.0);
    (upper - lower).clamp_min(1e-12).log()
}
