//! The builder of runs.

use std::fmt;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{Denoiser, full_precision};
use ddm_schedule::{Grid, Levels, NoiseSchedule, Trailing};

use crate::{Ddim, HostNoise, NoiseSource, Prior, Run, Sampler, SamplingError, Stream};

/// The builder of a run: a model, a schedule, and settings with defaults ([`Ddim`] at η = 0, 50
/// steps on the [`Trailing`] grid, [`HostNoise`] of seed 0).
///
/// Model and schedule are given by value, by reference or by `Arc`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::from_fn;
/// use ddm_samplers::{Ddpm, Sampling};
/// use ddm_schedule::{Cosine, NoiseLevel};
/// let model = from_fn(|x: Tensor<2>, at: NoiseLevel| x * at.alpha); // data N(0, 1)
/// let schedule = Cosine::default();
/// let run = Sampling::new(&model, &schedule).sampler(Ddpm::default()).steps(10).seed(3);
/// let frames: Vec<_> = run.start([4, 2], &Device::flex())?.collect();
/// assert_eq!(frames.len(), 10);
/// assert_eq!(frames[9].evaluations, 10);
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is sampled before `sample`, `start` or `start_from` is called"]
pub struct Sampling<'a, M, S = Ddim, N = HostNoise> {
    model: M,
    schedule: Arc<dyn NoiseSchedule + 'a>,
    visits: Visits<'a>,
    sampler: S,
    noise: N,
    prior: Prior,
}

/// The levels of a run: those of a grid, or given ones.
#[derive(Clone, Default)]
struct Visits<'a> {
    grid: Option<Arc<dyn Grid + 'a>>,
    steps: Option<usize>,
    levels: Option<Levels>,
}

impl<M, S: fmt::Debug, N: fmt::Debug> fmt::Debug for Sampling<'_, M, S, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampling")
            .field("sampler", &self.sampler)
            .field("noise", &self.noise)
            .field("prior", &self.prior)
            .finish_non_exhaustive()
    }
}

impl<'a, M> Sampling<'a, M> {
    /// Creates a builder with the default settings.
    pub fn new(model: M, schedule: impl NoiseSchedule + 'a) -> Self {
        Self {
            model,
            schedule: Arc::new(schedule),
            visits: Visits::default(),
            sampler: Ddim::default(),
            noise: HostNoise::new(0),
            prior: Prior::default(),
        }
    }
}

impl<'a, M, S, N> Sampling<'a, M, S, N> {
    /// Sets the sampler.
    pub fn sampler<T>(self, sampler: T) -> Sampling<'a, M, T, N> {
        let Self { model, schedule, visits, noise, prior, .. } = self;
        Sampling { model, schedule, visits, sampler, noise, prior }
    }

    /// Sets the number of steps.
    pub fn steps(mut self, steps: usize) -> Self {
        self.visits.steps = Some(steps);
        self
    }

    /// Sets the grid.
    pub fn grid(mut self, grid: impl Grid + 'a) -> Self {
        self.visits.grid = Some(Arc::new(grid));
        self
    }

    /// Sets the levels, in place of a grid and a number of steps.
    pub fn levels(mut self, levels: Levels) -> Self {
        self.visits.levels = Some(levels);
        self
    }

    /// Sets the noise source to [`HostNoise`] of this seed.
    pub fn seed(self, seed: u64) -> Sampling<'a, M, S, HostNoise> {
        self.noise(HostNoise::new(seed))
    }

    /// Sets the noise source.
    pub fn noise<T>(self, noise: T) -> Sampling<'a, M, S, T> {
        let Self { model, schedule, visits, sampler, prior, .. } = self;
        Sampling { model, schedule, visits, sampler, noise, prior }
    }

    /// Sets the mean and standard deviation of the data, by default 0 and 1.
    pub fn prior(self, prior: Prior) -> Self {
        Self { prior, ..self }
    }

    /// Starts a run from noise of this shape, `[batch, …]`, of the [`Prior`]'s mean and standard
    /// deviation at the first level (0 and 1 if variance is preserved).
    ///
    /// # Errors
    /// Returns an error if the shape has an empty axis, if the schedule does not have the levels,
    /// or if the shape or the levels are invalid for the model or the sampler.
    pub fn start<const D: usize>(
        mut self,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Run<'a, D, M, S, N>, SamplingError>
    where
        M: Denoiser<D>,
        S: Sampler<D>,
        N: NoiseSource,
    {
        if shape.contains(&0) {
            return Err(SamplingError::EmptyShape { shape: shape.to_vec() });
        }
        let levels = self.visits.levels(&*self.schedule)?;
        self.noise.switch_to(Stream::Start);
        let z = full_precision(self.noise.normal(&shape, device).reshape(shape));
        let x = match self.prior.mean_at(levels[0]) {
            0.0 => z * self.prior.std_at(levels[0]),
            mean => z * self.prior.std_at(levels[0]) + mean,
        };
        self.run(levels, x)
    }

    /// Starts a run from an x that is already at the first level, as in image-to-image. x in half
    /// precision is converted to single precision, in which the run computes.
    ///
    /// # Errors
    /// Returns the errors of [`start`](Self::start).
    pub fn start_from<const D: usize>(
        self,
        x: Tensor<D>,
    ) -> Result<Run<'a, D, M, S, N>, SamplingError>
    where
        M: Denoiser<D>,
        S: Sampler<D>,
        N: NoiseSource,
    {
        let levels = self.visits.levels(&*self.schedule)?;
        self.run(levels, full_precision(x))
    }

    fn run<const D: usize>(
        self,
        levels: Levels,
        x: Tensor<D>,
    ) -> Result<Run<'a, D, M, S, N>, SamplingError>
    where
        M: Denoiser<D>,
        S: Sampler<D>,
        N: NoiseSource,
    {
        self.model.check(&x, levels[0])?;
        self.sampler.check(x.dims(), &levels, &*self.schedule)?;
        let Self { model, schedule, sampler, mut noise, .. } = self;
        noise.switch_to(Stream::Sampler);
        let (x, state) = (Some(x), S::State::default());
        Ok(Run { model, schedule, sampler, levels, noise, state, x, done: 0, evaluations: 0 })
    }

    /// Takes the whole run and returns the samples.
    ///
    /// # Errors
    /// Returns the errors of [`start`](Self::start).
    pub fn sample<const D: usize>(
        self,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, SamplingError>
    where
        M: Denoiser<D>,
        S: Sampler<D>,
        N: NoiseSource,
    {
        Ok(self.start(shape, device)?.finish())
    }
}

impl Visits<'_> {
    fn levels(&self, schedule: &dyn NoiseSchedule) -> Result<Levels, SamplingError> {
        match (&self.levels, &self.grid, self.steps) {
            (Some(levels), None, steps) if steps.is_none_or(|n| n == levels.steps()) => {
                Ok(levels.clone())
            }
            (Some(levels), grid, steps) => Err(SamplingError::LevelsAndGrid {
                levels: levels.steps(),
                with: match grid {
                    Some(_) => "a grid".to_owned(),
                    None => format!("steps({})", steps.unwrap_or_default()),
                },
            }),
            (None, Some(grid), steps) => Ok(grid.levels(schedule, steps.unwrap_or(50))?),
            (None, None, steps) => Ok(Trailing.levels(schedule, steps.unwrap_or(50))?),
        }
    }
}
