//! Where runs begin.

use burn::tensor::{Device, Tensor};
use ddm_denoiser::linear_combination;
use ddm_diffusers::{SchedulerConfig, SetTimesteps, StepArgs};
use ddm_noise::{NoiseSource, Stream};
use ddm_samplers::BoxedSampler;
use ddm_schedule::{GridError, Levels};

use crate::inpaint::Known;
use crate::{PipelineError, Request};

/// Where a run begins, and how far it goes.
pub(crate) struct Start {
    /// x at the first level.
    pub(crate) x: Tensor<4>,
    /// The levels.
    pub(crate) levels: Levels,
    /// The number of steps to take.
    pub(crate) until: usize,
    /// The number of steps of the whole run, of which these may be the last.
    pub(crate) steps: usize,
    /// The arguments of steps.
    pub(crate) args: StepArgs,
    /// What of the image stays.
    pub(crate) known: Option<Known>,
}

impl Start {
    /// Returns the sampler of the run.
    pub(crate) fn wrap(&self, sampler: BoxedSampler<4>) -> BoxedSampler<4> {
        match &self.known {
            Some(known) => BoxedSampler::new(known.clone().around(sampler)),
            None => sampler,
        }
    }
}

/// What a run is made of, before it begins.
pub(crate) struct Plan<'a> {
    pub(crate) scheduler: &'a SchedulerConfig,
    pub(crate) set: SetTimesteps,
    /// The shape of x.
    pub(crate) shape: [usize; 4],
    pub(crate) request: &'a Request,
    pub(crate) device: &'a Device,
}

impl Plan<'_> {
    /// Returns the start at x at the first of `levels`, which are the last of the run.
    pub(crate) fn at(&self, levels: Levels, x: Tensor<4>) -> Result<Start, PipelineError> {
        let steps = self.scheduler.levels(self.set.clone())?.steps();
        let until = self.until(&levels)?;
        Ok(Start { x, levels, until, steps, args: self.request.step, known: None })
    }

    /// Returns the start from pure noise.
    pub(crate) fn pure_noise(&self, noise: &mut dyn NoiseSource) -> Result<Start, PipelineError> {
        let levels = self.scheduler.levels(self.set.clone())?;
        let x = self.draw(noise) * self.scheduler.start_scale(levels[0]);
        self.at(levels, x)
    }

    /// Returns the start from a latent with noise of the first of `levels`: `x = α z + σ ε`.
    pub(crate) fn noised(
        &self,
        latent: Tensor<4>,
        levels: Levels,
        noise: &mut dyn NoiseSource,
    ) -> Result<Start, PipelineError> {
        let (first, epsilon) = (levels[0], self.draw(noise));
        let x = linear_combination([(first.alpha, latent), (first.sigma, epsilon)]);
        self.at(levels, x)
    }

    /// Returns the start where another run ended early.
    pub(crate) fn handed_over(&self, x: &Tensor<4>, at: f64) -> Result<Start, PipelineError> {
        let fits = x.dims() == self.shape;
        let allowed = format!("{:?}", self.shape);
        PipelineError::require(fits, "the latent", format!("{:?}", x.dims()), allowed)?;
        let cutoff = self.cutoff(at, "denoising_start")?;
        let levels = self.scheduler.levels(self.set.clone())?;
        let done = levels.iter().take_while(|level| level.timestep >= cutoff).count();
        self.at(levels.skip(done)?, x.clone())
    }

    /// Returns the last ⌈n s⌉ of n steps, as diffusers' pipelines of flows take for a strength s.
    pub(crate) fn last_part(&self, strength: f64) -> Result<Levels, PipelineError> {
        let levels = self.scheduler.levels(self.set.clone())?;
        let steps = levels.steps();
        if !(strength > 0.0 && strength <= 1.0) {
            return Err(GridError::Strength { strength, steps }.into());
        }
        let all = steps as f64;
        Ok(levels.skip((all - (all * strength).min(all)) as usize)?)
    }

    pub(crate) fn draw(&self, noise: &mut dyn NoiseSource) -> Tensor<4> {
        draw(noise, self.shape, self.device)
    }

    /// Returns the number of steps to take: those before the request's end.
    fn until(&self, levels: &Levels) -> Result<usize, PipelineError> {
        let all = levels.steps();
        let Some(end) = self.request.denoising_end else { return Ok(all) };
        let cutoff = self.cutoff(end, "denoising_end")?;
        let until = levels[..all].iter().take_while(|level| level.timestep >= cutoff).count();
        let (found, allowed) = (format!("{end}, before the first step"), "later");
        PipelineError::require(until > 0, "denoising_end", found, allowed)?;
        Ok(until)
    }

    /// Returns the timestep of a part of the whole schedule.
    fn cutoff(&self, part: f64, what: &'static str) -> Result<f64, PipelineError> {
        PipelineError::require(part > 0.0 && part < 1.0, what, part, "above 0 and below 1")?;
        let trained = self.scheduler.get("num_train_timesteps").and_then(|it| it.as_f64());
        let trained = trained.unwrap_or(1000.0);
        Ok((trained - part * trained).round_ties_even())
    }
}

/// Draws noise for the start of a run.
pub(crate) fn draw(noise: &mut dyn NoiseSource, shape: [usize; 4], device: &Device) -> Tensor<4> {
    noise.switch_to(Stream::Start);
    noise.normal(&shape, device).reshape(shape)
}
