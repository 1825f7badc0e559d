//! The probability-flow ODE: from noise to data and back along one curve.

use std::fmt;

use burn::tensor::Tensor;
use ddm_denoiser::{Denoiser, column};
use ddm_schedule::{Invalid, NoiseLevel, NoiseSchedule};

use crate::ScoreError;
use crate::dormand_prince::DormandPrince;
use crate::path::{Path, scaled, velocity};

/// The probability-flow ODE: the deterministic path on which x has, at every level, the
/// distribution of noisy data. Decoding goes from noise to data, encoding from data to noise, and
/// each undoes the other.
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
/// the velocity v̂ = cos θ ε̂ − sin θ x̂₀: finite where no signal is left, and known only where there
/// is some noise. Solved by the Dormand–Prince method of order 5(4), with the error of a step kept
/// below `tolerance (1 + |y|)` in the root mean square over a sample's elements.
///
/// Every sample has an angle and a step size of its own, and the same answer and number of
/// evaluations whoever else is in the batch. The batch stays whole (conditions are bound to it):
/// samples that have arrived ride along. One step of the batch costs 6 evaluations and reads one
/// number a sample back from the device. (An evaluation is [`Denoiser::denoise_each`]: one model call
/// for a [`Model`](ddm_denoiser::Model), but one for every distinct level for a denoiser that has only
/// `denoise`, such as a closure.)
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
pub struct ProbabilityFlow<'a, M: ?Sized> {
    pub(crate) model: &'a M,
    schedule: &'a dyn NoiseSchedule,
    solver: DormandPrince,
}

/// Where a flow has come to.
#[derive(Clone, Debug)]
pub struct Solution<const D: usize> {
    /// x, at the level that was asked for where it was reached; else at the one in `levels`.
    pub x: Tensor<D>,
    /// Whether each sample reached the level. One that did not would have needed more evaluations
    /// than it may have, or steps too small to be any: its tolerance was out of reach.
    pub reached: Vec<bool>,
    /// The level that each sample is at.
    pub levels: Vec<NoiseLevel>,
    /// Model calls that each sample needed.
    pub evaluations: Vec<usize>,
    /// Evaluations of the whole batch, [`Denoiser::denoise_each`] each.
    pub calls: usize,
}

impl<M: ?Sized> Clone for ProbabilityFlow<'_, M> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<M: ?Sized> fmt::Debug for ProbabilityFlow<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbabilityFlow").field("solver", &self.solver).finish_non_exhaustive()
    }
}

impl<'a, M: ?Sized> ProbabilityFlow<'a, M> {
    /// With a tolerance of 1e-5 and at most 10 000 evaluations a sample.
    pub fn new(model: &'a M, schedule: &'a dyn NoiseSchedule) -> Self {
        let solver = DormandPrince { tolerance: 1e-5, max_evaluations: 10_000 };
        Self { model, schedule, solver }
    }

    /// With another tolerance of the error of one step, relative and absolute; finite, above 0.
    ///
    /// In f32, rounding hides whatever lies below about 1e-7.
    pub fn tolerance(mut self, tolerance: f64) -> Result<Self, ScoreError> {
        let holds = tolerance.is_finite() && tolerance > 0.0;
        Invalid::require(holds, "tolerance", tolerance, "finite and above 0")?;
        self.solver.tolerance = tolerance;
        Ok(self)
    }

    /// With another number of evaluations at which a sample gives up; at least 1.
    pub fn max_evaluations(mut self, n: usize) -> Result<Self, ScoreError> {
        Invalid::require(n > 0, "max_evaluations", n as f64, "at least 1")?;
        self.solver.max_evaluations = n;
        Ok(self)
    }

    /// The ends of the schedule between which there is a flow: the noisiest level, and the least
    /// noisy one that a network is told of. This is t = 0 if there is noise at t = 0; else t = 1e-3,
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

    /// From noise `x ~ N(0, scale² I)` to (all but) data, between the [`ends`](Self::ends).
    ///
    /// The little noise that is left can be taken away by one `model.denoise(x, ends[1])`, at the
    /// price that encoding no longer undoes it.
    pub fn decode<const D: usize>(&self, x: Tensor<D>) -> Result<Solution<D>, ScoreError>
    where
        M: Denoiser<D>,
    {
        let [noise, data] = self.ends();
        self.solve(x, noise, data)
    }

    /// From (all but) data to the noise that decodes to it, between the [`ends`](Self::ends).
    pub fn encode<const D: usize>(&self, x: Tensor<D>) -> Result<Solution<D>, ScoreError>
    where
        M: Denoiser<D>,
    {
        let [noise, data] = self.ends();
        self.solve(x, data, noise)
    }

    /// From one level of the schedule to another, up or down; σ > 0 at both. x is f32 or f64.
    pub fn solve<const D: usize>(
        &self,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
    ) -> Result<Solution<D>, ScoreError>
    where
        M: Denoiser<D>,
    {
        let path = self.path(x.dims(), from, to)?;
        let y = x.inner() / from.scale();
        let arrival = path.follow(y, &self.solver, |y, at| {
            let x0 = self.model.denoise_each(scaled(y, at), at).inner();
            Ok(velocity(y, x0, at))
        })?;
        let levels = path.levels(&arrival.paces.iter().map(|pace| pace.at).collect::<Vec<_>>());
        let scale = column(&arrival.state, levels.iter().map(NoiseLevel::scale));
        Ok(Solution {
            x: arrival.state * scale,
            reached: arrival.paces.iter().map(|pace| pace.reached()).collect(),
            levels,
            evaluations: arrival.paces.iter().map(|pace| pace.evaluations).collect(),
            calls: arrival.calls,
        })
    }

    /// The settings of the integrator.
    pub(crate) fn solver(&self) -> &DormandPrince {
        &self.solver
    }

    /// The way between two levels, if x of this shape can go it.
    pub(crate) fn path<const D: usize>(
        &self,
        shape: [usize; D],
        from: NoiseLevel,
        to: NoiseLevel,
    ) -> Result<Path<'a>, ScoreError>
    where
        M: Denoiser<D>,
    {
        ScoreError::require_some(&shape)?;
        let path = Path::new(self.schedule, [from, to], shape[0])?;
        self.model.check(shape, path.noisiest())?;
        Ok(path)
    }
}
