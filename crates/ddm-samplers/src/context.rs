//! What a sampler may ask for in a step.

use std::fmt;

use burn::tensor::Tensor;
use ddm_denoiser::Denoiser;
use ddm_schedule::{NoiseLevel, NoiseSchedule, kernel};

use crate::NoiseSource;

/// The model, the noise and the schedule of a run, and the two kernels on tensors.
///
/// It counts the model calls and remembers the last x̂₀ for the [`Frame`](crate::Frame).
pub struct Context<'a, const D: usize> {
    denoiser: &'a dyn Denoiser<D>,
    schedule: &'a dyn NoiseSchedule,
    noise: &'a mut dyn NoiseSource,
    /// A step may take earlier ones again, and then sets it back.
    pub(crate) done: usize,
    steps: usize,
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
        Self { denoiser, schedule, noise, done: 0, steps: 1, evaluations: 0, denoised: None }
    }

    /// As step number `done` (from 0) of a run of `steps` steps; by itself a context is that of a
    /// run of one step.
    pub fn at_step(self, done: usize, steps: usize) -> Self {
        Self { done, steps, ..self }
    }

    /// Steps that the run has taken before this one.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Steps that the run takes in all.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// One model call: `x̂₀ ≈ E[x₀ | x]` at level `at`.
    pub fn denoise(&mut self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.denoise_with_variance(x, at).0
    }

    /// One model call: x̂₀, and the variance if the model learns one
    /// (see [`Denoiser::denoise_with_variance`]).
    pub fn denoise_with_variance(
        &mut self,
        x: Tensor<D>,
        at: NoiseLevel,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let (x0, variance) = self.denoiser.denoise_with_variance(x, at);
        self.evaluations += 1;
        self.denoised = Some(x0.clone());
        (x0, variance)
    }

    /// The next draw of noise, of the shape, float type and device of `x`.
    pub fn noise_like(&mut self, x: &Tensor<D>) -> Tensor<D> {
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

    /// The forward kernel up to a noisier level: see [`kernel::forward`].
    pub fn forward(&mut self, x: Tensor<D>, from: NoiseLevel, to: NoiseLevel) -> Tensor<D> {
        let step = kernel::forward(from, to);
        let z = self.noise_like(&x);
        x * step.x + z * step.noise
    }

    /// The level of the run's schedule at which `ln(α/σ) = λ`: for midpoints.
    pub fn level_at(&self, lambda: f64) -> NoiseLevel {
        self.schedule.level_at(lambda)
    }

    /// The level of the run's schedule at a timestep, the network's unit of time.
    pub fn level_at_timestep(&self, timestep: f64) -> NoiseLevel {
        self.schedule.level(self.schedule.time_of(timestep))
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
