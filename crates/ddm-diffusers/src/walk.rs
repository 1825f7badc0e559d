//! The step of the chain family: T/n rows down, regardless of the next row visited.

use burn::tensor::Tensor;
use ddm_samplers::{Context, Sampler};
use ddm_schedule::NoiseLevel;

use crate::ConfigError;
use crate::settings::Settings;
use crate::table::Table;

/// The end of a step from a row: ⌊T/n⌋ rows below it, in a run of n steps.
///
/// If n does not divide T, and with `linspace`, this is not the next row visited: x arrives at one
/// level, and the next step treats it as x at another.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    table: Table,
    train_steps: usize,
    /// The number of steps of the whole run, if it is longer than the sampled one.
    steps: Option<usize>,
    end: NoiseLevel,
}

impl Walk {
    pub(crate) fn new(settings: &Settings, steps: Option<usize>) -> Result<Self, ConfigError> {
        let table = settings.table()?;
        let end = settings.chain_end(&table);
        Ok(Self { table, train_steps: settings.train_steps, steps, end })
    }

    /// Returns the number of rows per step.
    pub(crate) fn stride(&self, steps_of_run: usize) -> usize {
        self.train_steps / self.steps.unwrap_or(steps_of_run)
    }

    /// Returns whether a run of this many steps is the rest of a longer one.
    pub(crate) fn is_rest(&self, steps_of_run: usize) -> bool {
        self.steps.is_some_and(|steps| steps != steps_of_run)
    }

    /// Returns the level `stride` rows below `row`.
    pub(crate) fn below(&self, row: f64, stride: usize) -> NoiseLevel {
        match (row as usize).checked_sub(stride) {
            Some(row) => self.table.level(row),
            None => self.end,
        }
    }

    /// Returns the level `stride` rows above `row`, at most the last.
    pub(crate) fn above(&self, row: f64, stride: usize) -> NoiseLevel {
        self.table.level((row as usize + stride).min(self.table.rows() - 1))
    }
}

/// A sampler whose steps end at the levels of a [`Walk`].
#[derive(Clone, Debug)]
pub(crate) struct Walking<S> {
    pub(crate) sampler: S,
    pub(crate) walk: Walk,
}

impl<const D: usize, S: Sampler<D>> Sampler<D> for Walking<S> {
    type State = S::State;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        _: NoiseLevel,
        state: &mut S::State,
    ) -> Tensor<D> {
        let to = self.walk.below(from.timestep, self.walk.stride(cx.steps()));
        self.sampler.step(cx, x, from, to, state)
    }
}
