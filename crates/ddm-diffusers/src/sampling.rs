//! Samples from a config in one call.

use ddm_denoiser::{Denoiser, NoisePredictor};
use ddm_samplers::{BoxedSampler, Prior, Sampling};
use ddm_schedule::NoiseLevel;

use crate::{ConfigError, SchedulerConfig, SetTimesteps, StepArgs};

/// The sampling of a config: it owns its model, schedule, levels, sampler and prior.
pub type ConfigSampling<'a, const D: usize> =
    Sampling<'a, Box<dyn Denoiser<D> + 'a>, BoxedSampler<D>>;

impl SchedulerConfig {
    /// Creates the sampling of a network by this config. `set` is a number of steps, or
    /// [`SetTimesteps`].
    ///
    /// The run starts from noise times [`start_scale`](Self::start_scale). With
    /// [`TorchNoise`](ddm_samplers::TorchNoise) of a seed it is diffusers' run with that seed.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_denoiser::from_fn;
    /// use ddm_diffusers::{Class, SchedulerConfig};
    /// let config = SchedulerConfig::new(Class::EulerDiscrete)?;
    /// let sampling = config.sampling(from_fn(|x: Tensor<2>, _t: Tensor<1>| x), 10)?.seed(3);
    /// assert_eq!(sampling.sample([4, 2], &Device::flex())?.dims(), [4, 2]);
    /// # Ok::<(), ddm_diffusers::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`levels`](Self::levels), [`denoiser`](Self::denoiser) and
    /// [`sampler`](Self::sampler).
    pub fn sampling<'a, const D: usize>(
        &self,
        network: impl NoisePredictor<D> + 'a,
        set: impl Into<SetTimesteps>,
    ) -> Result<ConfigSampling<'a, D>, ConfigError> {
        let levels = self.levels(set)?;
        let args = StepArgs { inference_steps: Some(levels.steps()), ..StepArgs::default() };
        let prior = prior(levels[0], self.start_scale(levels[0]))?;
        let sampling = Sampling::new(self.denoiser(network)?, self.schedule()?);
        Ok(sampling.sampler(self.sampler_with(&args)?).prior(prior).levels(levels))
    }
}

/// Returns the prior whose standard deviation at the first level is `scale`: `√(α² s² + σ²) =
/// scale`.
fn prior(first: NoiseLevel, scale: f64) -> Result<Prior, ConfigError> {
    let signal = (scale * scale - first.sigma * first.sigma).max(0.0).sqrt();
    let std = if first.alpha > 0.0 { signal / first.alpha } else { 1.0 };
    Ok(Prior::new(0.0, std)?)
}
