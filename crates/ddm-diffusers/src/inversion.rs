//! The run of a class that goes from the data to noise.

use burn::tensor::Tensor;
use ddm_denoiser::Denoiser;
use ddm_samplers::{Inversion, invert};
use ddm_schedule::{Levels, NoiseLevel};

use crate::denoiser::Limit;
use crate::walk::Walk;
use crate::{ConfigError, SchedulerConfig};

impl SchedulerConfig {
    /// The run of `DDIMInverseScheduler` from data `x0`: [`invert`] on the
    /// [`levels`](Self::levels), with x̂₀ limited as `clip_sample` has it.
    ///
    /// `model` is that of [`denoiser`](Self::denoiser). Refuses other classes, and a network that
    /// predicts x₀ where the run begins without noise.
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
    /// What is refused above, and a shape that the model cannot take.
    pub fn invert<const D: usize, M: Denoiser<D>>(
        &self,
        model: M,
        levels: &Levels,
        x0: Tensor<D>,
    ) -> Result<Inversion<'static, D, M>, ConfigError> {
        if !self.inverts() {
            let what = format!("the inversion of {}", self.class());
            let change = "take DDIMInverseScheduler, or the sampler of the class";
            return Err(ConfigError::Unsupported { what, change });
        }
        let (limit, last, steps) = (Limit::of(self.settings()), levels[0], levels.steps());
        let walk = Walk::new(self.settings(), None)?;
        // Each step starts T/n rows below where it ends, whatever row the one before has reached.
        let below = move |to: NoiseLevel| walk.below(to.timestep, walk.stride(steps));
        let inversion = invert(model, levels, x0)?.predicting(self.parameterization()?)?;
        Ok(inversion.limit(move |x0| limit.apply(x0, last)).starting_at(below))
    }
}
