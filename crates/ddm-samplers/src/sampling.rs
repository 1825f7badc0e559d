//! The short way to a run.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::Denoiser;
use ddm_schedule::{Grid, Levels, NoiseSchedule, Trailing};

use crate::{Ddim, HostNoise, NoiseSource, Run, Sampler, SamplingError};

/// How to sample: a model and a schedule, and then what should differ from the defaults
/// ([`Ddim`] at η = 0, 50 steps on the [`Trailing`] grid, [`HostNoise`] of seed 0).
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
pub struct Sampling<'a, M: ?Sized, S = Ddim, N = HostNoise> {
    model: &'a M,
    schedule: &'a dyn NoiseSchedule,
    visits: Visits<'a>,
    sampler: S,
    noise: N,
}

/// Which levels a run visits: a grid's, or given ones.
enum Visits<'a> {
    Grid { grid: Box<dyn Grid + 'a>, steps: usize },
    Levels(Levels),
}

impl<M: ?Sized, S: std::fmt::Debug, N: std::fmt::Debug> std::fmt::Debug for Sampling<'_, M, S, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampling")
            .field("sampler", &self.sampler)
            .field("noise", &self.noise)
            .finish_non_exhaustive()
    }
}

impl<'a, M: ?Sized> Sampling<'a, M> {
    /// With the defaults.
    pub fn new(model: &'a M, schedule: &'a dyn NoiseSchedule) -> Self {
        Self {
            model,
            schedule,
            visits: Visits::Grid { grid: Box::new(Trailing), steps: 50 },
            sampler: Ddim::default(),
            noise: HostNoise::new(0),
        }
    }
}

impl<'a, M: ?Sized, S, N> Sampling<'a, M, S, N> {
    /// With another sampler.
    pub fn sampler<T>(self, sampler: T) -> Sampling<'a, M, T, N> {
        let Self { model, schedule, visits, noise, .. } = self;
        Sampling { model, schedule, visits, sampler, noise }
    }

    /// With another number of steps.
    pub fn steps(self, steps: usize) -> Self {
        let grid = match self.visits {
            Visits::Grid { grid, .. } => grid,
            Visits::Levels(_) => Box::new(Trailing),
        };
        Self { visits: Visits::Grid { grid, steps }, ..self }
    }

    /// With another grid.
    pub fn grid(self, grid: impl Grid + 'a) -> Self {
        let steps = match self.visits {
            Visits::Grid { steps, .. } => steps,
            Visits::Levels(levels) => levels.steps(),
        };
        Self { visits: Visits::Grid { grid: Box::new(grid), steps }, ..self }
    }

    /// With these levels and no others, in place of a grid and a number of steps.
    pub fn levels(self, levels: Levels) -> Self {
        Self { visits: Visits::Levels(levels), ..self }
    }

    /// With [`HostNoise`] of this seed.
    pub fn seed(self, seed: u64) -> Sampling<'a, M, S, HostNoise> {
        self.noise(HostNoise::new(seed))
    }

    /// With another noise source.
    pub fn noise<T>(self, noise: T) -> Sampling<'a, M, S, T> {
        let Self { model, schedule, visits, sampler, .. } = self;
        Sampling { model, schedule, visits, sampler, noise }
    }

    /// Starts a run from noise of this shape, `[batch, …]`: the first draw, scaled to the first
    /// level's [`scale`](ddm_schedule::NoiseLevel::scale), which is 1 if variance is preserved.
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
        let levels = self.visits.levels(self.schedule)?;
        let x = self.noise.draw(shape, device) * levels[0].scale();
        self.levels(levels).start_from(x)
    }

    /// Starts a run from an x that is already at the first level: image-to-image, or a latent.
    pub fn start_from<const D: usize>(
        self,
        x: Tensor<D>,
    ) -> Result<Run<'a, D, M, S, N>, SamplingError>
    where
        M: Denoiser<D>,
        S: Sampler<D>,
        N: NoiseSource,
    {
        let levels = self.visits.levels(self.schedule)?;
        self.model.check(x.dims(), levels[0])?;
        self.sampler.check(x.dims(), &levels)?;
        let Self { model, schedule, sampler, noise, .. } = self;
        let (x, state) = (Some(x), S::State::default());
        Ok(Run { model, schedule, sampler, levels, noise, state, x, done: 0, evaluations: 0 })
    }

    /// The whole run in one go: the samples.
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
        match self {
            Visits::Grid { grid, steps } => Ok(grid.levels(schedule, *steps)?),
            Visits::Levels(levels) => Ok(levels.clone()),
        }
    }
}
