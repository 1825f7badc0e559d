//! The records of a learner, which shows them to checkpointers only.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use burn::module::ModuleDisplay;
use burn::optim::OptimizerRecord;
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::store::ModuleRecord;
use burn::train::checkpoint::{
    AsyncCheckpointer, Checkpoint as Record, Checkpointer, CheckpointerError, CheckpointingAction,
    CheckpointingStrategy,
};
use burn::train::metric::store::EventStoreClient;
use burn::train::{Learner, LearnerModel, LearningCheckpointer};
use ddm_train::{Checkpoint, Checkpoints, Decay, Ema, Snapshot, TrainError};

/// Takes the records of a learner to a checkpoint and back.
pub(crate) struct Records<M: LearnerModel> {
    checkpointer: LearningCheckpointer<M>,
    network: Receiver<ModuleRecord>,
    optimizer: Receiver<OptimizerRecord>,
    learning_rate: Receiver<LrSchedulerRecord>,
    store: Arc<EventStoreClient>,
}

impl<M: LearnerModel + ModuleDisplay> Records<M> {
    pub(crate) fn new(store: Arc<EventStoreClient>) -> Self {
        let (network_to, network) = hand_over();
        let (optimizer_to, optimizer) = hand_over();
        let (rate_to, learning_rate) = hand_over();
        let checkpointer =
            LearningCheckpointer::new(network_to, optimizer_to, rate_to, Box::new(Always));
        Self { checkpointer, network, optimizer, learning_rate, store }
    }

    /// Saves a checkpoint after `step` steps.
    pub(crate) fn save(
        &mut self,
        checkpoints: &Checkpoints,
        step: usize,
        seed: u64,
        learner: &Learner<M>,
        ema: &Ema<M, impl Decay>,
    ) -> Result<(), TrainError> {
        self.checkpointer.checkpoint(learner, step, &self.store);
        let snapshot = Snapshot {
            seed,
            network: received(&self.network)?,
            average: ema.record()?,
            optimizer: received(&self.optimizer)?,
            learning_rate: received(&self.learning_rate)?,
        };
        checkpoints.save(step, |files| snapshot.write(files))?;
        Ok(())
    }

    /// Restores the state of a learner, and returns the moving average.
    pub(crate) fn restore<D: Decay>(
        saved: &Checkpoint,
        seed: u64,
        learner: &mut Learner<M>,
        decay: D,
    ) -> Result<Ema<M, D>, TrainError> {
        let Snapshot { network, average, optimizer, learning_rate, .. } =
            Snapshot::read(saved, seed)?;
        // The learner would panic.
        let fits = learner.model().try_load_record(network.clone());
        fits.map_err(|error| saved.misfit(Snapshot::NETWORK, error))?;
        learner.load_model(network);
        learner.load_optim(optimizer);
        learner.load_scheduler(learning_rate);
        let ema = Ema::from_record(&learner.model(), decay, average);
        Ok(ema.map_err(|error| saved.misfit(Snapshot::AVERAGE, error))?)
    }
}

fn received<R>(from: &Receiver<R>) -> Result<R, TrainError> {
    let reason = |error: &dyn Display| TrainError::Record { reason: error.to_string() };
    from.recv().map_err(|error| reason(&error))
}

/// A checkpointer that hands the record over in place of saving it.
struct HandOver<R>(SyncSender<R>);

fn hand_over<R: Record>() -> (AsyncCheckpointer<R>, Receiver<R>) {
    let (sender, receiver) = sync_channel(1);
    (AsyncCheckpointer::new(HandOver(sender)), receiver)
}

impl<R: Record> Checkpointer<R> for HandOver<R> {
    fn save(&self, _: usize, record: R) -> Result<(), CheckpointerError> {
        self.0.send(record).map_err(|error| CheckpointerError::Unknown(error.to_string()))
    }

    fn delete(&self, _: usize) -> Result<(), CheckpointerError> {
        Ok(()) // `Checkpoints` deletes
    }

    fn restore(&self, _: usize) -> Result<R, CheckpointerError> {
        Err(CheckpointerError::Unknown("`Checkpoints` restores the records".to_owned()))
    }
}

/// Saves whenever it is called.
struct Always;

impl CheckpointingStrategy for Always {
    fn checkpointing(&mut self, _: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        vec![CheckpointingAction::Save]
    }
}
