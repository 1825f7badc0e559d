//! Where the states of a training are kept.

use burn::module::{Module, ModuleDisplay};

use crate::state::{Losses, State};
use crate::{Checkpoints, Decay, NewCheckpoint, TrainError};

/// Where the states of a training are kept.
pub(crate) trait Keep<M, D> {
    /// Returns the state to start from, and the losses before; `state` is that of a new training.
    fn start(&self, state: State<M, D>) -> Result<(State<M, D>, Losses), TrainError>;

    /// Returns whether the state after this step is to be saved.
    fn is_due(&self, step: usize) -> bool;

    /// Saves a state and the losses so far.
    fn save(&self, state: &State<M, D>, losses: &[(usize, f64)]) -> Result<(), TrainError>;
}

/// Nowhere: a training that starts anew.
pub(crate) struct Nowhere;

impl<M, D> Keep<M, D> for Nowhere {
    fn start(&self, state: State<M, D>) -> Result<(State<M, D>, Losses), TrainError> {
        Ok((state, Vec::new()))
    }
    fn is_due(&self, _: usize) -> bool {
        false
    }
    fn save(&self, _: &State<M, D>, _: &[(usize, f64)]) -> Result<(), TrainError> {
        Ok(())
    }
}

/// In a folder of checkpoints.
pub(crate) struct InFolder<'a> {
    pub(crate) checkpoints: &'a Checkpoints,
    pub(crate) seed: u64,
    /// The last step, which is saved too.
    pub(crate) steps: usize,
}

impl<M: Module + ModuleDisplay, D: Decay> Keep<M, D> for InFolder<'_> {
    fn start(&self, state: State<M, D>) -> Result<(State<M, D>, Losses), TrainError> {
        match self.checkpoints.last()? {
            Some(saved) => {
                let restored = state.restore(self.seed, &saved)?;
                self.checkpoints.restore(&saved)?;
                Ok(restored)
            }
            None => Ok((state, Vec::new())),
        }
    }
    fn is_due(&self, step: usize) -> bool {
        self.checkpoints.is_due(step) || step == self.steps
    }
    fn save(&self, state: &State<M, D>, losses: &[(usize, f64)]) -> Result<(), TrainError> {
        let write = |files: &mut NewCheckpoint| state.save(self.seed, losses, files);
        self.checkpoints.save(state.step, write).map(drop)
    }
}
