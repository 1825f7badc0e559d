//! The probability-flow ODE: from noise to data and back along one curve.

use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;
use ddm_denoiser::{Denoiser, column, full_precision, wait_for};
use ddm_schedule::{Invalid, NoiseLevel, NoiseSchedule};

use crate::ScoreError;
use crate::dormand_prince::DormandPrince;
use crate::path::{Path, scaled, velocity};

/// The probability-flow ODE: the deterministic path on which x has, at every level, the
/// distribution of noisy data. Decoding goes from noise to data, encoding from data to noise, and
/// each inverts the other.
///
/// ```text
/// dx/dt = f(t) x − ½ g(t)² ∇ₓ ln p_t(x)
/// ```
///
/// With `y = x/√(α² + σ²)` and the angle `θ = atan2(σ, α)` that is, on every schedule,
///
/// ```text
/// dy/dθ = (cos θ y − x̂₀)/sin θ,
/// ```
///
/// the velocity v̂ = cos θ ε̂ − sin θ x̂₀. It is finite where no signal is left, and defined only
/// where σ > 0. The ODE is solved by the Dormand–Prince method of order 5(4), with the error of a
/// step kept below `tolerance (1 + |y|)` in the root mean square over a sample's elements.
///
/// Angle and step size are per sample, so the result and the number of evaluations of a sample do
/// not depend on the rest of the batch. The batch stays whole (conditions are bound to it),
/// including samples that have arrived. One step of the batch costs 6 evaluations and reads one
/// number per sample back from the device. (An evaluation is [`Denoiser::predict_x0`]: one model
/// call for a [`Model`](ddm_denoiser::Model), but one per distinct level for a denoiser that takes
/// one level at a time, such as a closure.)
///
/// Source: Song et al., *Score-Based Generative Modeling through Stochastic Differential
/// Equations*, eq. 13, arXiv 2011.13456; the angle is that of Salimans & Ho, *Progressive
/// Distillation*, app. D, arXiv 2202.00512. [`Ddim`](ddm_samplers::Ddim) at η = 0 takes fixed steps
/// on the same path.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_schedule::Cosine;
/// use ddm_score::ProbabilityFlow;
/// use ddm_testkit::Gaussian;
/// let (model, schedule) = (Gaussian::new([2.0], 0.5)?, Cosine::default());
/// let flow = ProbabilityFlow::new(&model, &schedule).tolerance(1e-5)?;
/// let x = Tensor::<2>::from_floats([[1.5], [3.0]], &Device::flex());
/// let noise = flow.encode(x.clone())?; // (1.5 − 2)/0.5 = −1 and (3 − 2)/0.5 = 2
/// assert!(noise.x.clone().all_close(Tensor::from([[-1.0], [2.0]]), None, Some(1e-3)));
/// assert!(flow.decode(noise.x)?.x.all_close(x, None, Some(1e-3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ProbabilityFlow<'a, M> {
    pub(crate) model: M,
    schedule: Arc<dyn NoiseSchedule + 'a>,
    solver: DormandPrince,
}

/// The solution of a probability-flow ODE.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Solution<const D: usize> {
    /// x at the requested level if it was reached, else at the level in `levels`.
    pub x: Tensor<D>,
    /// Whether each sample reached the level. A sample that did not would have required more than
    /// `max_evaluations` evaluations, or steps below 1e-12 of the path.
    pub reached: Vec<bool>,
    /// The level that each sample is at.
    pub levels: Vec<NoiseLevel>,
    /// The number of model calls of each sample.
    pub evaluations: Vec<usize>,
    /// The number of evaluations ([`Denoiser::predict_x0`]) of the whole batch.
    pub calls: usize,
}

impl<M> fmt::Debug for ProbabilityFlow<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbabilityFlow").field("solver", &self.solver).finish_non_exhaustive()
    }
}

impl<'a, M> ProbabilityFlow<'a, M> {
    /// Creates a flow with a tolerance of 1e-5 and at most 10 000 evaluations per sample.
    pub fn new(model: M, schedule: impl NoiseSchedule + 'a) -> Self {
        let solver = DormandPrince { tolerance: 1e-5, max_evaluations: 10_000 };
        Self { model, schedule: Arc::new(schedule), solver }
    }

    /// Sets the tolerance of the error of one step, relative and absolute.
    ///
    /// In f32, tolerances below about 1e-7 are lost in rounding.
    ///
    /// # Errors
    /// Returns an error if the tolerance is not finite and above 0.
    pub fn tolerance(mut self, tolerance: f64) -> Result<Self, ScoreError> {
        let valid = tolerance.is_finite() && tolerance > 0.0;
        Invalid::require(valid, "tolerance", tolerance, "finite and above 0")?;
        self.solver.tolerance = tolerance;
        Ok(self)
    }

    /// Sets the largest number of evaluations per sample, at which the sample gives up.
    ///
    /// # Errors
    /// Returns an error if the number is 0.
    pub fn max_evaluations(mut self, n: usize) -> Result<Self, ScoreError> {
        Invalid::require(n > 0, "max_evaluations", n as f64, "at least 1")?;
        self.solver.max_evaluations = n;
        Ok(self)
    }

    /// Returns the ends of the flow on the schedule: the noisiest level, and the least noisy one at
    /// which the network is called. The latter is t = 0 if there is noise at t = 0, else t = 1e-3,
    /// or the first row of a β table.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, VarianceExploding};
    /// use ddm_score::ProbabilityFlow;
    /// let (exploding, table) = (VarianceExploding::new(0.01, 50.0)?, BetaTable::default());
    /// let [noise, data] = ProbabilityFlow::new(&(), &exploding).ends();
    /// assert!((noise.sigma - 50.0).abs() < 1e-9 && data.sigma == 0.01);
    /// assert_eq!(ProbabilityFlow::new(&(), &table).ends()[1].timestep, 0.0);
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    pub fn ends(&self) -> [NoiseLevel; 2] {
        let start = self.schedule.level(0.0);
        let data = match self.schedule.steps() {
            _ if start.sigma > 0.0 => start,
            Some(rows) => self.schedule.level(1.0 / rows as f64),
            None => self.schedule.level(1e-3),
        };
        [self.schedule.level(1.0), data]
    }

    /// Decodes noise `x ~ N(0, scale² I)` to nearly clean data, between the [`ends`](Self::ends).
    ///
    /// One `model.denoise(x, ends[1])` removes the remaining noise, but then encoding does not
    /// invert decoding exactly.
    ///
    /// # Errors
    /// Returns the errors of [`solve`](Self::solve).
    pub fn decode<const D: usize>(&self, x: Tensor<D>) -> Result<Solution<D>, ScoreError>
    where
        M: Denoiser<D>,
    {
        let [noise, data] = self.ends();
        self.solve(x, noise, data)
    }

    /// Encodes nearly clean data as the noise that decodes to it, between the [`ends`](Self::ends).
    ///
    /// # Errors
    /// Returns the errors of [`solve`](Self::solve).
    pub fn encode<const D: usize>(&self, x: Tensor<D>) -> Result<Solution<D>, ScoreError>
    where
        M: Denoiser<D>,
    {
        let [noise, data] = self.ends();
        self.solve(x, data, noise)
    }

    /// Solves the ODE from one level of the schedule to another, up or down, with σ > 0 at both; in
    /// f64 if x is f64, else in f32.
    ///
    /// # Errors
    /// Returns an error if a level has no noise or does not lie on the schedule, if the shape of x
    /// is empty or invalid for the model, or if the device cannot be read.
    pub fn solve<const D: usize>(
        &self,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
    ) -> Result<Solution<D>, ScoreError>
    where
        M: Denoiser<D>,
    {
        wait_for(self.solve_async(x, from, to))
    }

    /// Solves the ODE without blocking, for platforms such as browsers.
    ///
    /// # Errors
    /// Returns the errors of [`solve`](Self::solve).
    pub async fn solve_async<const D: usize>(
        &self,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
    ) -> Result<Solution<D>, ScoreError>
    where
        M: Denoiser<D>,
    {
        let x = full_precision(x).inner();
        let path = self.path(&x, from, to)?;
        let slope = |y: &Tensor<D>, at: &[NoiseLevel]| {
            let x0 = self.model.predict_x0(scaled(y, at), at).x0.inner();
            Ok(velocity(y, x0, at))
        };
        let arrival = path.follow(x / from.scale(), &self.solver, slope).await?;
        let levels = path.levels(
            &arrival.controllers.iter().map(|controller| controller.at).collect::<Vec<_>>(),
        );
        let scale = column(&arrival.state, levels.iter().map(NoiseLevel::scale));
        Ok(Solution {
            x: arrival.state * scale,
            reached: arrival.controllers.iter().map(|controller| controller.reached()).collect(),
            levels,
            evaluations: arrival
                .controllers
                .iter()
                .map(|controller| controller.evaluations)
                .collect(),
            calls: arrival.calls,
        })
    }

    /// The settings of the integrator.
    pub(crate) fn solver(&self) -> &DormandPrince {
        &self.solver
    }

    /// The path between two levels; an error if the levels or the shape of x are invalid.
    pub(crate) fn path<const D: usize>(
        &self,
        x: &Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
    ) -> Result<Path<'_>, ScoreError>
    where
        M: Denoiser<D>,
    {
        ScoreError::require_some(&x.dims())?;
        let path = Path::new(&*self.schedule, [from, to], x.dims()[0])?;
        self.model.check(x, path.noisiest())?;
        Ok(path)
    }
}
