//! All that a training is after some step.

use burn::module::{Module, ModuleDisplay};
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::Bytes;

use crate::{Checkpoint, CheckpointError, Decay, Ema, NewCheckpoint, TrainError};

/// Weights, average, optimizer and learning rate after `step` steps.
///
/// Data and noise are no part of it: they are addressed by the seed and the step.
pub(crate) struct State<M, D> {
    pub(crate) step: usize,
    pub(crate) network: M,
    pub(crate) ema: Ema<M, D>,
    pub(crate) optimizer: ModuleOptimizer,
    pub(crate) learning_rate: ModuleLrScheduler,
}

/// (steps taken, mean loss since the previous entry), in order.
pub(crate) type Losses = Vec<(usize, f64)>;

const NETWORK: &str = "network.bpk";
const AVERAGE: &str = "average.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const LEARNING_RATE: &str = "learning-rate.bpk";
const LOSSES: &str = "losses.csv";
const SEED: &str = "seed.txt";

impl<M: Module + ModuleDisplay, D: Decay> State<M, D> {
    /// Writes it to a checkpoint, with the losses so far.
    pub(crate) fn save(
        &self,
        seed: u64,
        losses: &[(usize, f64)],
        files: &mut NewCheckpoint,
    ) -> Result<(), TrainError> {
        files.write(SEED, seed.to_string().as_bytes())?;
        files.write(NETWORK, &encoded(self.network.clone().into_record().into_bytes())?)?;
        files.write(AVERAGE, &encoded(self.ema.record()?.into_bytes())?)?;
        files.write(OPTIMIZER, &encoded(self.optimizer.into_bytes())?)?;
        files.write(LEARNING_RATE, &encoded(self.learning_rate.to_record().into_bytes())?)?;
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
        let path = || saved.directory().to_owned();
        let found = text(saved, SEED)?.parse().map_err(|error| saved.misfit(SEED, error))?;
        if found != seed {
            return Err(CheckpointError::Seed { path: path(), found, expected: seed }.into());
        }
        let bytes = |file| saved.read(file).map(Bytes::from_bytes_vec);
        let of_module = |file| {
            let record = ModuleRecord::from_bytes(bytes(file)?);
            record.map_err(|error| saved.misfit(file, error))
        };
        let network = self.network.clone().try_load_record(of_module(NETWORK)?);
        let network = network.map_err(|error| saved.misfit(NETWORK, error))?;
        let ema = Ema::from_record(&network, self.ema.into_decay(), of_module(AVERAGE)?);
        let ema = ema.map_err(|error| saved.misfit(AVERAGE, error))?;
        let optimizer = OptimizerRecord::from_bytes(bytes(OPTIMIZER)?);
        let optimizer = optimizer.map_err(|error| saved.misfit(OPTIMIZER, error))?;
        let learning_rate = LrSchedulerRecord::from_bytes(bytes(LEARNING_RATE)?);
        let learning_rate = learning_rate.map_err(|error| saved.misfit(LEARNING_RATE, error))?;
        let losses = losses(&text(saved, LOSSES)?)
            .ok_or_else(|| saved.misfit(LOSSES, "it is no table of steps and losses"))?;
        let optimizer = self.optimizer.load_record(optimizer);
        let learning_rate = self.learning_rate.load_record(learning_rate);
        Ok((Self { step: saved.step(), network, ema, optimizer, learning_rate }, losses))
    }
}

fn encoded<E: std::fmt::Display>(bytes: Result<Bytes, E>) -> Result<Bytes, TrainError> {
    bytes.map_err(|error| TrainError::Record { reason: error.to_string() })
}

fn text(saved: &Checkpoint, file: &str) -> Result<String, CheckpointError> {
    String::from_utf8(saved.read(file)?).map_err(|error| saved.misfit(file, error))
}

fn losses(table: &str) -> Option<Losses> {
    let rows = table.lines().skip(1).map(|line| {
        let (step, loss) = line.split_once(',')?;
        Some((step.parse().ok()?, loss.parse().ok()?))
    });
    rows.collect()
}
