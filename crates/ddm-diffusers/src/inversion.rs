//! The run of a class that goes from the data to noise.

use burn::tensor::Tensor;
use ddm_denoiser::Denoiser;
use ddm_samplers::{Frame, invert};
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
    pub fn invert<'a, const D: usize, M: Denoiser<D> + ?Sized>(
        &self,
        model: &'a M,
        levels: &'a Levels,
        x0: Tensor<D>,
    ) -> Result<impl ExactSizeIterator<Item = Frame<D>> + 'a, ConfigError> {
        if !self.inverts() {
            let what = format!("the inversion of {}", self.class());
            let change = "take DDIMInverseScheduler, or the sampler of the class";
            return Err(ConfigError::Unsupported { what, change });
        }
        let (limit, last) = (Limit::of(self.settings()), levels[0]);
        let (predicts, steps) = (self.parameterization()?, levels.steps());
        let walk = Walk::new(self.settings(), None)?;
        // Each step starts T/n rows below where it ends, whatever row the one before has reached.
        let from = move |to: NoiseLevel| walk.below(to.timestep, walk.stride(steps));
        let step = move |to, from, x: Tensor<D>| -> Result<Frame<D>, ConfigError> {
            let pair = Levels::new(vec![to, from])?;
            let run = invert(model, &pair, x)?.predicting(predicts)?;
            let frame = run.limit(|x0| limit.apply(x0, last)).next();
            Ok(frame.unwrap_or_else(|| unreachable!("two levels are one step")))
        };
        // Takes the checks of a run before it starts.
        invert(model, levels, x0.clone())?.predicting(predicts)?;
        let mut x = x0;
        Ok((0..steps).map(move |done| {
            let to = levels[steps - 1 - done];
            let from = if done == 0 { levels[steps] } else { from(to) };
            let frame = step(to, from, x.clone()).unwrap_or_else(|_| unreachable!("checked above"));
            x = frame.x.clone();
            Frame { evaluations: done + 1, ..frame }
        }))
    }
}
