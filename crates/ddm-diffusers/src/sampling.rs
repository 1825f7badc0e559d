//! From a config to samples in one call.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::{Denoiser, Network};
use ddm_samplers::{BoxedSampler, Frame, HostNoise, NoiseSource, Sampling, SamplingError};
use ddm_schedule::{Levels, NoiseSchedule};

use crate::{ConfigError, SchedulerConfig, SetTimesteps, StepArgs};

/// What a config, a network and a number of steps make together; from
/// [`SchedulerConfig::sampling`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::from_fn;
/// use ddm_diffusers::{Class, SchedulerConfig};
/// let config = SchedulerConfig::new(Class::EulerDiscrete)?;
/// let sampling = config.sampling(from_fn(|x: Tensor<2>, _t: Tensor<1>| x), 10)?.seed(3);
/// let x = sampling.sample([4, 2], &Device::flex())?;
/// let frames = sampling.start([4, 2], &Device::flex())?;
/// assert_eq!((x.dims(), frames.len()), ([4, 2], 10));
/// # Ok::<(), ddm_diffusers::ConfigError>(())
/// ```
pub struct ConfigSampling<'a, const D: usize, N = HostNoise> {
    model: Box<dyn Denoiser<D> + Send + Sync + 'a>,
    schedule: Box<dyn NoiseSchedule>,
    sampler: BoxedSampler<D>,
    levels: Levels,
    start_scale: f64,
    noise: N,
}

impl SchedulerConfig {
    /// The network, sampled as the config says: `set` is a number of steps, or [`SetTimesteps`].
    ///
    /// The start, noise times [`start_scale`](Self::start_scale), and the noise of the steps come
    /// from one source, by default that of seed 0.
    ///
    /// # Errors
    ///
    /// Those of [`levels`](Self::levels) and [`sampler`](Self::sampler).
    pub fn sampling<'a, const D: usize>(
        &self,
        network: impl Network<D> + Send + Sync + 'a,
        set: impl Into<SetTimesteps>,
    ) -> Result<ConfigSampling<'a, D>, ConfigError> {
        let (levels, schedule) = (self.levels(set)?, self.schedule()?);
        let args = StepArgs { inference_steps: Some(levels.steps()), ..StepArgs::default() };
        Ok(ConfigSampling {
            model: self.denoiser(network)?,
            schedule,
            sampler: self.sampler_with(&args)?,
            start_scale: self.start_scale(levels[0]),
            levels,
            noise: HostNoise::new(0),
        })
    }
}

impl<'a, const D: usize, N> ConfigSampling<'a, D, N> {
    /// With the arguments of diffusers' `step`, by [`SchedulerConfig::sampler_with`].
    pub fn sampler(self, sampler: BoxedSampler<D>) -> Self {
        Self { sampler, ..self }
    }

    /// With noise of this seed.
    pub fn seed(self, seed: u64) -> ConfigSampling<'a, D> {
        self.noise(HostNoise::new(seed))
    }

    /// With another noise source.
    pub fn noise<T: NoiseSource>(self, noise: T) -> ConfigSampling<'a, D, T> {
        let Self { model, schedule, sampler, levels, start_scale, .. } = self;
        ConfigSampling { model, schedule, sampler, levels, start_scale, noise }
    }

    /// The levels that a run visits.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }
}

impl<const D: usize, N: NoiseSource + Clone> ConfigSampling<'_, D, N> {
    /// The frames of a run from noise of this shape, `[batch, …]`.
    ///
    /// # Errors
    ///
    /// A shape that is empty, or that the network refuses.
    pub fn start(
        &self,
        shape: [usize; D],
        device: &Device,
    ) -> Result<impl ExactSizeIterator<Item = Frame<D>> + '_, ConfigError> {
        if shape.contains(&0) {
            return Err(SamplingError::EmptyShape { shape: shape.to_vec() }.into());
        }
        let mut noise = self.noise.clone();
        let x = noise.draw(shape, device) * self.start_scale;
        let run = Sampling::new(&*self.model, &*self.schedule).sampler(self.sampler.clone());
        Ok(run.levels(self.levels.clone()).noise(noise).start_from(x)?)
    }

    /// The samples of a run from noise of this shape.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    pub fn sample(&self, shape: [usize; D], device: &Device) -> Result<Tensor<D>, ConfigError> {
        let mut last = None;
        self.start(shape, device)?.for_each(|frame| last = Some(frame.x));
        // Levels hold at least one step.
        Ok(last.unwrap_or_else(|| Tensor::zeros(shape, device)))
    }
}

impl<const D: usize, N> std::fmt::Debug for ConfigSampling<'_, D, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigSampling").field("levels", &self.levels).finish_non_exhaustive()
    }
}
