//! The step of the chain's classes, which goes T/n rows down, whatever row is visited next.

use burn::tensor::Tensor;
use ddm_samplers::{Context, Sampler};
use ddm_schedule::NoiseLevel;

use crate::ConfigError;
use crate::settings::Settings;
use crate::table::Table;

/// Where a step from a row ends: ⌊T/n⌋ rows below it, in a run of n steps.
///
/// Where n does not divide T, and with `linspace`, that is another row than the next one visited:
/// x arrives at one level and is taken from there as if it were at the next.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    table: Table,
    train_steps: usize,
    /// Steps of the whole run, of which a run may be a part.
    steps: Option<usize>,
    end: NoiseLevel,
}

impl Walk {
    pub(crate) fn new(settings: &Settings, steps: Option<usize>) -> Result<Self, ConfigError> {
        let table = settings.table()?;
        let end = settings.chain_end(&table);
        Ok(Self { table, train_steps: settings.train_steps, steps, end })
    }

    /// Rows that each step of a run goes down.
    pub(crate) fn stride(&self, steps_of_run: usize) -> usize {
        self.train_steps / self.steps.unwrap_or(steps_of_run)
    }

    /// The level so many rows below a row.
    pub(crate) fn below(&self, row: f64, stride: usize) -> NoiseLevel {
        match (row as usize).checked_sub(stride) {
            Some(row) => self.table.level(row),
            None => self.end,
        }
    }

    /// The level so many rows above a row, at most the last.
    pub(crate) fn above(&self, row: f64, stride: usize) -> NoiseLevel {
        self.table.level((row as usize + stride).min(self.table.rows() - 1))
    }
}

/// A sampler whose steps end where the walk says.
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
