//! Runs: iterators over the steps from noise to data.

use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;
use ddm_denoiser::Denoiser;
use ddm_schedule::{Levels, NoiseLevel, NoiseSchedule};

use crate::{Context, NoiseSource, Sampler};

/// The result of one step.
#[derive(Clone, Debug)]
pub struct Frame<const D: usize> {
    /// x at `level`; the sample after the last step.
    pub x: Tensor<D>,
    /// The model's last x̂₀, a preview of the sample.
    pub denoised: Tensor<D>,
    /// The level that the step went to.
    pub level: NoiseLevel,
    /// Number of model calls of the run so far.
    pub evaluations: usize,
}

/// A sampling run: an iterator of [`Frame`]s of exact length, one per step.
///
/// Progress bars, previews and early stopping are `inspect`, `map` and `take_while`. It holds only
/// the current x and the sampler's state. It can be cloned in the middle: both copies then take the
/// same steps. It owns the model, or a reference or an `Arc`, and is `Send`.
/// [`Sampling::start`](crate::Sampling::start) creates it.
#[derive(Clone)]
pub struct Run<'a, const D: usize, M, S: Sampler<D>, N> {
    pub(crate) model: M,
    pub(crate) schedule: Arc<dyn NoiseSchedule + 'a>,
    pub(crate) sampler: S,
    pub(crate) levels: Levels,
    pub(crate) noise: N,
    pub(crate) state: S::State,
    /// `None` only during a step, so that the step owns x and may work in place.
    pub(crate) x: Option<Tensor<D>>,
    pub(crate) done: usize,
    pub(crate) evaluations: usize,
}

impl<const D: usize, M: Denoiser<D>, S: Sampler<D>, N: NoiseSource> Run<'_, D, M, S, N> {
    /// Returns the levels of the run.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Returns the noise source in its current state, for example to save it and resume later.
    pub fn noise(&self) -> &N {
        &self.noise
    }

    /// Takes all remaining steps and returns the sample.
    pub fn finish(mut self) -> Tensor<D> {
        self.by_ref().for_each(drop);
        self.x.expect("x is None only during a step")
    }
}

impl<const D: usize, M: Denoiser<D>, S: Sampler<D>, N: NoiseSource> Iterator
    for Run<'_, D, M, S, N>
{
    type Item = Frame<D>;

    fn next(&mut self) -> Option<Frame<D>> {
        let (from, to) = (self.levels[self.done], *self.levels.get(self.done + 1)?);
        let mut cx = Context::new(&self.model, &*self.schedule, &mut self.noise)
            .at_step(self.done, self.levels.steps())
            .spanning(from, to);
        let x = self.sampler.step(&mut cx, self.x.take()?, from, to, &mut self.state);
        self.done += 1;
        self.evaluations += cx.evaluations();
        // Without a model call in the step, x stands in for the prediction.
        let denoised = cx.into_denoised().unwrap_or_else(|| x.clone());
        self.x = Some(x.clone());
        Some(Frame { x, denoised, level: to, evaluations: self.evaluations })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.levels.steps() - self.done;
        (left, Some(left))
    }
}

impl<const D: usize, M: Denoiser<D>, S: Sampler<D>, N: NoiseSource> ExactSizeIterator
    for Run<'_, D, M, S, N>
{
}

impl<const D: usize, M, S: Sampler<D>, N> fmt::Debug for Run<'_, D, M, S, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("levels", &self.levels)
            .field("done", &self.done)
            .field("evaluations", &self.evaluations)
            .finish_non_exhaustive()
    }
}
