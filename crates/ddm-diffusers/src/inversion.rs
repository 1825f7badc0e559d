//! The inversion: a run from data to noise.

use burn::tensor::Tensor;
use ddm_denoiser::Denoiser;
use ddm_samplers::{Inversion, invert};
use ddm_schedule::{Levels, NoiseLevel};

use crate::denoiser::Limit;
use crate::walk::Walk;
use crate::{ConfigError, SchedulerConfig};

impl SchedulerConfig {
    /// Returns the run of `DDIMInverseScheduler` from data `x0`: [`invert`] on the
    /// [`levels`](Self::levels), with x̂₀ limited by `clip_sample`.
    ///
    /// `model` is the output of [`denoiser`](Self::denoiser).
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_denoiser::from_fn;
    /// use ddm_diffusers::{Class, SchedulerConfig};
    /// let config = SchedulerConfig::new(Class::DdimInverse)?;
    /// let (levels, model) = (config.levels(10)?, config.denoiser(from_fn(|x, _| x))?);
    /// let x0 = Tensor::<2>::zeros([4, 2], &Device::flex());
    /// let noise = config.invert(&*model, &levels, x0)?.last().unwrap().x;
    /// assert_eq!(noise.dims(), [4, 2]);
    /// # Ok::<(), ddm_diffusers::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error for other classes, for a network that predicts x₀ if the run starts without
    /// noise, and for a shape that the model does not accept.
    pub fn invert<const D: usize, M: Denoiser<D>>(
        &self,
        model: M,
        levels: &Levels,
        x0: Tensor<D>,
    ) -> Result<Inversion<'static, D, M>, ConfigError> {
        if !self.inverts() {
            let what = format!("the inversion of {}", self.class());
            let change = "use DDIMInverseScheduler, or sample with the sampler of this class";
            return Err(ConfigError::Unsupported { what, change });
        }
        let (limit, last, steps) = (Limit::of(self.settings()), levels[0], levels.steps());
        let walk = Walk::new(self.settings(), None)?;
        // Each step starts T/n rows below its end, even if the previous step ended elsewhere.
        let below = move |to: NoiseLevel| walk.below(to.timestep, walk.stride(steps));
        let inversion = invert(model, levels, x0)?.predicting(self.parameterization()?)?;
        Ok(inversion.limit(move |x0| limit.apply(x0, last)).starting_at(below))
    }
}
