//! The context of a step.

use std::fmt;

use burn::tensor::Tensor;
use ddm_denoiser::{Denoised, Denoiser, linear_combination};
use ddm_schedule::{NoiseLevel, NoiseSchedule, kernel};

use crate::{NoiseSource, Sampler};

/// The context of a step: the model, the noise and the schedule of the run, and the two kernels on
/// tensors.
///
/// It counts the model calls and keeps the last x̂₀ for the [`Frame`](crate::Frame).
pub struct Context<'a, const D: usize> {
    denoiser: &'a dyn Denoiser<D>,
    schedule: &'a dyn NoiseSchedule,
    noise: &'a mut dyn NoiseSource,
    done: usize,
    steps: usize,
    /// The levels of the step that the next noise belongs to.
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
    /// Creates a context, to call a sampler without a [`Run`](crate::Run), which creates its own.
    pub fn new(
        denoiser: &'a dyn Denoiser<D>,
        schedule: &'a dyn NoiseSchedule,
        noise: &'a mut dyn NoiseSource,
    ) -> Self {
        let (done, steps, evaluations) = (0, 1, 0);
        Self { denoiser, schedule, noise, done, steps, span: None, evaluations, denoised: None }
    }

    /// Sets the index `done` (from 0) of the step and the number `steps` of steps of the run; by
    /// default a run of one step.
    #[must_use]
    pub fn at_step(self, done: usize, steps: usize) -> Self {
        Self { done, steps, ..self }
    }

    /// Sets the levels of the step that the noise belongs to, see [`NoiseSource::between`].
    #[must_use]
    pub fn spanning(self, from: NoiseLevel, to: NoiseLevel) -> Self {
        Self { span: Some((from, to)), ..self }
    }

    /// Returns the number of steps taken before this one.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Returns the number of steps of the run.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Returns the schedule of the run.
    pub fn schedule(&self) -> &'a dyn NoiseSchedule {
        self.schedule
    }

    /// Calls the model once: `x̂₀ ≈ E[x₀ | x]` at level `at`.
    pub fn denoise(&mut self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.predict_x0(x, at).x0
    }

    /// Calls the model once, for x̂₀ and the variance, if the model learns one.
    pub fn predict_x0(&mut self, x: Tensor<D>, at: NoiseLevel) -> Denoised<D> {
        let denoised = self.denoiser.predict_x0(x, &[at]);
        self.evaluations += 1;
        self.denoised = Some(denoised.x0.clone());
        denoised
    }

    /// Returns the noise of this step, with the shape, float type and device of `x`. Further calls
    /// in the same step return [`fresh_noise`](Self::fresh_noise).
    pub fn noise_like(&mut self, x: &Tensor<D>) -> Tensor<D> {
        match self.span.take() {
            Some((from, to)) => {
                let z = self.noise.between(&x.dims(), from, to, &x.device());
                z.reshape(x.dims()).cast(x.dtype())
            }
            None => self.fresh_noise(x),
        }
    }

    /// Returns noise that is independent of the noise of this step, with the shape, float type and
    /// device of `x`: for moves to a noisier level, and for repeated steps.
    pub fn fresh_noise(&mut self, x: &Tensor<D>) -> Tensor<D> {
        self.noise.normal(&x.dims(), &x.device()).reshape(x.dims()).cast(x.dtype())
    }

    /// Applies the reverse kernel, `α_to x̂₀ + √(σ_to² − c²) ε̂ + c z`: see [`kernel::reverse`].
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
        self.combine([(step.x, x), (step.x0, x0)], step.noise)
    }

    /// Returns `x + c z`. Draws z only if c > 0.
    pub fn add_noise(&mut self, x: Tensor<D>, c: f64) -> Tensor<D> {
        self.combine([(1.0, x)], c)
    }

    /// Returns `Σ wᵢ xᵢ + c z`, as [`linear_combination`] does; at least one term. Draws z only if
    /// c > 0.
    pub fn combine(
        &mut self,
        terms: impl IntoIterator<Item = (f64, Tensor<D>)>,
        c: f64,
    ) -> Tensor<D> {
        let mut terms: Vec<(f64, Tensor<D>)> = terms.into_iter().collect();
        if let Some((_, x)) = terms.first().filter(|_| c > 0.0) {
            let z = self.noise_like(x);
            terms.push((c, z));
        }
        linear_combination(terms)
    }

    /// Applies the forward kernel to a noisier level, with fresh noise: see [`kernel::forward`].
    pub fn forward(&mut self, x: Tensor<D>, from: NoiseLevel, to: NoiseLevel) -> Tensor<D> {
        let step = kernel::forward(from, to);
        let z = self.fresh_noise(&x);
        linear_combination([(step.x, x), (step.noise, z)])
    }

    /// Takes, or repeats, step `number` of the run with another sampler and fresh noise.
    /// [`RePaint`](crate::RePaint) and samplers that restart from a noisier level use it.
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

    /// Returns the level of the run's schedule at which `ln(α/σ) = λ`: for midpoints.
    pub fn level_at(&self, lambda: f64) -> NoiseLevel {
        self.schedule.level_at(lambda)
    }

    /// Returns the level of the run's schedule at a timestep, the network's unit of time.
    pub fn level_at_timestep(&self, timestep: f64) -> NoiseLevel {
        self.schedule.level(self.schedule.time_of(timestep))
    }

    /// Returns the schedule's time t ∈ [0, 1] of a level.
    pub fn time_of(&self, level: NoiseLevel) -> f64 {
        self.schedule.time_at(level.lambda())
    }

    /// Returns the number of model calls so far.
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// The last x̂₀ that the model returned.
    pub(crate) fn into_denoised(self) -> Option<Tensor<D>> {
        self.denoised
    }
}
