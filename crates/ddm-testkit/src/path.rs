//! A sampling problem with a known solution.

use burn::tensor::{Device, Tensor, TensorData};
use ddm_samplers::{NoiseSource, Sampler, Sampling};
use ddm_schedule::{Levels, NoiseLevel, NoiseSchedule};

use crate::{Gaussian, Violation, compare};

/// A sampling problem with an exact solution: Gaussian data of one dimension, and a part of a
/// schedule, with steps uniform in λ.
///
/// On the default (data N(0.5, 0.1²), λ from −3 to 1) solvers of order 1, 2 and 3 show their order
/// with 20 to 160 steps: no terms of the error cancel, and σ > 0 at the end, so that no solver
/// needs its special case.
#[derive(Clone)]
pub struct GaussianPath<'a> {
    schedule: &'a dyn NoiseSchedule,
    data: Gaussian,
    from: f64,
    to: f64,
}

impl std::fmt::Debug for GaussianPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { data, from, to, .. } = self;
        f.debug_struct("GaussianPath")
            .field("data", data)
            .field("from", from)
            .field("to", to)
            .finish_non_exhaustive()
    }
}

impl<'a> GaussianPath<'a> {
    /// Creates the default problem on a schedule, limited to the λ that the schedule has.
    ///
    /// # Errors
    ///
    /// Returns the first violation.
    pub fn new(schedule: &'a dyn NoiseSchedule) -> Result<Self, Violation> {
        let data = Gaussian::new([0.5], 0.1);
        let data = data.map_err(|error| Violation::from_error("Gaussian data", error))?;
        Ok(Self { schedule, data, from: -3.0, to: 1.0 })
    }

    /// Sets the data; only the first of its means is used.
    #[must_use]
    pub fn data(self, data: Gaussian) -> Self {
        Self { data, ..self }
    }

    /// Sets the range of λ.
    #[must_use]
    pub fn between(self, from: f64, to: f64) -> Self {
        Self { from, to, ..self }
    }

    /// Returns the levels of n steps, uniform in λ.
    ///
    /// # Errors
    ///
    /// Returns the first violation.
    pub fn levels(&self, n: usize) -> Result<Levels, Violation> {
        let from = self.from.max(self.schedule.lambda(1.0));
        let to = self.to.min(self.schedule.lambda(0.0));
        let lambda = |i: usize| from + (to - from) * i as f64 / n as f64;
        let levels = (0..=n).map(|i| self.schedule.level_at(lambda(i))).collect();
        Levels::new(levels).map_err(|error| Violation::from_error("a path on the schedule", error))
    }

    /// Returns the mean and standard deviation of x at a level: `α μ` and `√(α² s² + σ²)`.
    pub fn marginal(&self, at: NoiseLevel) -> (f64, f64) {
        (at.alpha * self.data.mean(0), self.data.std_at(at))
    }

    /// Runs n steps from `x = α μ + √(α² s² + σ²) z` for each z, and returns the last x of
    /// each, in f64 if the device supports it.
    ///
    /// # Errors
    ///
    /// Returns the first violation.
    pub fn run<S: Sampler<2>, N: NoiseSource>(
        &self,
        sampler: &S,
        n: usize,
        z: &[f64],
        noise: N,
        device: &Device,
    ) -> Result<Vec<f64>, Violation> {
        const LAW: &str = "a run on Gaussian data";
        let levels = self.levels(n)?;
        let (mean, std) = self.marginal(levels[0]);
        let x: Vec<f64> = z.iter().map(|z| mean + std * z).collect();
        let dtype = compare::finest_dtype(device).into();
        let x = Tensor::<2>::from_data(TensorData::new(x, [z.len(), 1]), (device, dtype));
        let run = Sampling::new(&self.data, self.schedule).sampler(sampler).levels(levels);
        let run =
            run.noise(noise).start_from(x).map_err(|error| Violation::from_error(LAW, error))?;
        compare::values(LAW, run.finish())
    }

    /// Returns the solutions of the probability-flow ODE for the same starts: `α μ + √(α² s² + σ²)
    /// z` at the end.
    pub fn solution(&self, z: &[f64]) -> Vec<f64> {
        let (mean, std) = self.end();
        z.iter().map(|z| mean + std * z).collect()
    }

    /// Returns the mean and standard deviation of x at the end.
    pub fn end(&self) -> (f64, f64) {
        self.marginal(self.schedule.level_at(self.to))
    }
}
