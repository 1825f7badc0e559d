//! All that a training is after some step.

use burn::module::{Module, ModuleDisplay};
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;

use crate::{Checkpoint, Decay, Ema, NewCheckpoint, Snapshot, TrainError};

/// Weights, average, optimizer and learning rate after `step` steps.
pub(crate) struct State<M, D> {
    pub(crate) step: usize,
    pub(crate) network: M,
    pub(crate) ema: Ema<M, D>,
    pub(crate) optimizer: ModuleOptimizer,
    pub(crate) learning_rate: ModuleLrScheduler,
}

/// (steps taken, mean loss since the previous entry), in order.
pub(crate) type Losses = Vec<(usize, f64)>;

const LOSSES: &str = "losses.csv";

impl<M: Module + ModuleDisplay, D: Decay> State<M, D> {
    /// Writes it to a checkpoint, with the losses so far.
    pub(crate) fn save(
        &self,
        seed: u64,
        losses: &[(usize, f64)],
        files: &mut NewCheckpoint,
    ) -> Result<(), TrainError> {
        let snapshot = Snapshot {
            seed,
            network: self.network.clone().into_record(),
            average: self.ema.record()?,
            optimizer: self.optimizer.to_record(),
            learning_rate: self.learning_rate.to_record(),
        };
        snapshot.write(files)?;
        // The shortest decimal of a number is read back as that number.
        let lines = losses.iter().map(|(step, loss)| format!("{step},{loss:e}\n"));
        files.write(LOSSES, format!("step,loss\n{}", lines.collect::<String>()).as_bytes())?;
        Ok(())
    }

    /// Returns the state and the losses of a checkpoint; `self` is one at the start of the same training.
    pub(crate) fn restore(
        self,
        seed: u64,
        saved: &Checkpoint,
    ) -> Result<(Self, Losses), TrainError> {
        let Snapshot { network, average, optimizer, learning_rate, .. } =
            Snapshot::read(saved, seed)?;
        let network = self.network.try_load_record(network);
        let network = network.map_err(|error| saved.misfit(Snapshot::NETWORK, error))?;
        let ema = Ema::from_record(&network, self.ema.into_decay(), average);
        let ema = ema.map_err(|error| saved.misfit(Snapshot::AVERAGE, error))?;
        let optimizer = self.optimizer.load_record(optimizer);
        let learning_rate = self.learning_rate.load_record(learning_rate);
        let losses = losses(&saved.text(LOSSES)?)
            .ok_or_else(|| saved.misfit(LOSSES, "it is no table of steps and losses"))?;
        Ok((Self { step: saved.step(), network, ema, optimizer, learning_rate }, losses))
    }
}

fn losses(table: &str) -> Option<Losses> {
    let rows = table.lines().skip(1).map(|line| {
        let (step, loss) = line.split_once(',')?;
        Some((step.parse().ok()?, loss.parse().ok()?))
    });
    rows.collect()
}
