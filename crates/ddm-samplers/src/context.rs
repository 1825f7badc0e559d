//! The surroundings of a step.

use std::fmt;

use burn::tensor::Tensor;
use ddm_denoiser::{Denoised, Denoiser};
use ddm_schedule::{NoiseLevel, NoiseSchedule, kernel};

use crate::{NoiseSource, Sampler};

/// The model, the noise and the schedule of a run, and the two kernels on tensors.
///
/// It counts the model calls and keeps the last x̂₀ for the [`Frame`](crate::Frame).
pub struct Context<'a, const D: usize> {
    denoiser: &'a dyn Denoiser<D>,
    schedule: &'a dyn NoiseSchedule,
    noise: &'a mut dyn NoiseSource,
    done: usize,
    steps: usize,
    /// The levels between which the next noise belongs.
    span: Option<(NoiseLevel, NoiseLevel)>,
    evaluations: usize,
    denoised: Option<Tensor<D>>,
}

impl<const D: usize> fmt::Debug for Context<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("evaluations", &self.evaluations).finish_non_exhaustive()
    }
}

impl<'a, const D: usize> Context<'a, D> {
    /// For driving a sampler by hand; a [`Run`](crate::Run) makes its own.
    pub fn new(
        denoiser: &'a dyn Denoiser<D>,
        schedule: &'a dyn NoiseSchedule,
        noise: &'a mut dyn NoiseSource,
    ) -> Self {
        let (done, steps, evaluations) = (0, 1, 0);
        Self { denoiser, schedule, noise, done, steps, span: None, evaluations, denoised: None }
    }

    /// As step number `done` (from 0) of a run of `steps` steps; by itself a context is that of a
    /// run of one step.
    #[must_use]
    pub fn at_step(self, done: usize, steps: usize) -> Self {
        Self { done, steps, ..self }
    }

    /// With noise that belongs to the step between these levels, see [`NoiseSource::between`].
    #[must_use]
    pub fn spanning(self, from: NoiseLevel, to: NoiseLevel) -> Self {
        Self { span: Some((from, to)), ..self }
    }

    /// Steps that the run has taken before this one.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Steps that the run takes in all.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The schedule of the run.
    pub fn schedule(&self) -> &'a dyn NoiseSchedule {
        self.schedule
    }

    /// One model call: `x̂₀ ≈ E[x₀ | x]` at level `at`.
    pub fn denoise(&mut self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.predict_x0(x, at).x0
    }

    /// One model call: x̂₀, and the variance if the model learns one.
    pub fn predict_x0(&mut self, x: Tensor<D>, at: NoiseLevel) -> Denoised<D> {
        let denoised = self.denoiser.predict_x0(x, &[at]);
        self.evaluations += 1;
        self.denoised = Some(denoised.x0.clone());
        denoised
    }

    /// The noise of this step, of the shape, float type and device of `x`. After the first call in a
    /// step, [`fresh_noise`](Self::fresh_noise).
    pub fn noise_like(&mut self, x: &Tensor<D>) -> Tensor<D> {
        match self.span.take() {
            Some((from, to)) => {
                let z = self.noise.between(&x.dims(), from, to, &x.device());
                z.reshape(x.dims()).cast(x.dtype())
            }
            None => self.fresh_noise(x),
        }
    }

    /// Noise that does not belong to the way from this level to the next, of the shape, float type
    /// and device of `x`: for going up, and for steps that are taken again.
    pub fn fresh_noise(&mut self, x: &Tensor<D>) -> Tensor<D> {
        self.noise.normal(&x.dims(), &x.device()).reshape(x.dims()).cast(x.dtype())
    }

    /// The reverse kernel, `α_to x̂₀ + √(σ_to² − c²) ε̂ + c z`: see [`kernel::reverse`].
    /// Draws z only if c > 0.
    pub fn reverse(
        &mut self,
        x: Tensor<D>,
        x0: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        c: f64,
    ) -> Tensor<D> {
        let step = kernel::reverse(from, to, c);
        let mean = x * step.x + x0 * step.x0;
        self.add_noise(mean, step.noise)
    }

    /// `x + c z`. Draws z only if c > 0.
    pub fn add_noise(&mut self, x: Tensor<D>, c: f64) -> Tensor<D> {
        if c > 0.0 {
            let z = self.noise_like(&x);
            return x + z * c;
        }
        x
    }

    /// The forward kernel up to a noisier level, with fresh noise: see [`kernel::forward`].
    pub fn forward(&mut self, x: Tensor<D>, from: NoiseLevel, to: NoiseLevel) -> Tensor<D> {
        let step = kernel::forward(from, to);
        let z = self.fresh_noise(&x);
        x * step.x + z * step.noise
    }

    /// Takes step number `number` of the run, perhaps again, by another sampler: what
    /// [`RePaint`](crate::RePaint) and samplers that restart from a noisier level are made of. Its
    /// noise is fresh.
    pub fn step<S: Sampler<D>>(
        &mut self,
        sampler: &S,
        number: usize,
        x: Tensor<D>,
        (from, to): (NoiseLevel, NoiseLevel),
        state: &mut S::State,
    ) -> Tensor<D> {
        let done = std::mem::replace(&mut self.done, number);
        self.span = None;
        let x = sampler.step(self, x, from, to, state);
        self.done = done;
        x
    }

    /// The level of the run's schedule at which `ln(α/σ) = λ`: for midpoints.
    pub fn level_at(&self, lambda: f64) -> NoiseLevel {
        self.schedule.level_at(lambda)
    }

    /// The level of the run's schedule at a timestep, the network's unit of time.
    pub fn level_at_timestep(&self, timestep: f64) -> NoiseLevel {
        self.schedule.level(self.schedule.time_of(timestep))
    }

    /// The schedule's own time t ∈ [0, 1] of a level.
    pub fn time_of(&self, level: NoiseLevel) -> f64 {
        self.schedule.time_at(level.lambda())
    }

    /// Model calls so far.
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// The last x̂₀ that the model gave.
    pub(crate) fn into_denoised(self) -> Option<Tensor<D>> {
        self.denoised
    }
}
