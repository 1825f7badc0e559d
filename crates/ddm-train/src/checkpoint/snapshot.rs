//! The records of a training in a checkpoint.

use burn::optim::OptimizerRecord;
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Bytes, TensorData};
use burn_pack::Reader;

use super::{Checkpoint, CheckpointError, NewCheckpoint};

/// The records of a training after some step, for loops of your own.
///
/// Data and noise are no part of it: they are addressed by the seed and the step.
#[derive(Debug)]
pub struct Snapshot {
    /// The seed of the training.
    pub seed: u64,
    /// The network, `network.into_record()`.
    pub network: ModuleRecord,
    /// The moving average, [`Ema::record`](crate::Ema::record).
    pub average: ModuleRecord,
    /// The optimizer, `optimizer.to_record()`.
    pub optimizer: OptimizerRecord,
    /// The learning rate, `scheduler.to_record()`.
    pub learning_rate: LrSchedulerRecord,
}

impl Snapshot {
    const SEED: &str = "seed.txt";
    /// The file of the network.
    pub const NETWORK: &str = "network.bpk";
    /// The file of the moving average.
    pub const AVERAGE: &str = "average.bpk";
    const OPTIMIZER: &str = "optimizer.bpk";
    const LEARNING_RATE: &str = "learning-rate.bpk";

    /// Writes the records, a file each.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be written, or a weight of the network or of the average is
    /// not finite: a training could not continue from it.
    pub fn write(self, files: &mut NewCheckpoint) -> Result<(), CheckpointError> {
        files.write(Self::SEED, self.seed.to_string().as_bytes())?;
        files.write_weights(Self::NETWORK, self.network)?;
        files.write_weights(Self::AVERAGE, self.average)?;
        files.write_record(Self::OPTIMIZER, self.optimizer.into_bytes())?;
        files.write_record(Self::LEARNING_RATE, self.learning_rate.into_bytes())
    }

    /// Reads the records of a checkpoint of a training with this seed.
    ///
    /// # Errors
    ///
    /// Returns an error if the training has another seed, or a file cannot be read.
    pub fn read(saved: &Checkpoint, seed: u64) -> Result<Self, CheckpointError> {
        let found = saved.text(Self::SEED)?.parse();
        let found = found.map_err(|error| saved.misfit(Self::SEED, error))?;
        if found != seed {
            let path = saved.directory().to_owned();
            return Err(CheckpointError::Seed { path, found, expected: seed });
        }
        Ok(Self {
            seed,
            network: saved.record(Self::NETWORK, ModuleRecord::from_bytes)?,
            average: saved.record(Self::AVERAGE, ModuleRecord::from_bytes)?,
            optimizer: saved.record(Self::OPTIMIZER, OptimizerRecord::from_bytes)?,
            learning_rate: saved.record(Self::LEARNING_RATE, LrSchedulerRecord::from_bytes)?,
        })
    }
}

impl NewCheckpoint {
    fn write_weights(&mut self, name: &str, record: ModuleRecord) -> Result<(), CheckpointError> {
        let bytes = record.into_bytes().map_err(|error| self.unwritable(name, error))?.shared();
        let tensors = Reader::from_bytes(bytes.clone()).and_then(Reader::into_tensors);
        for tensor in tensors.map_err(|error| self.unwritable(name, error))? {
            let parts = tensor.into_parts().map_err(|error| self.unwritable(name, error))?;
            let (parameter, dtype, shape, _, bytes) = parts;
            if dtype.is_float() && !is_finite(&TensorData::from_bytes(bytes, shape, dtype)) {
                let (step, file) = (self.step(), name.to_owned());
                return Err(CheckpointError::NotFinite { step, file, parameter });
            }
        }
        self.write(name, &bytes)
    }

    fn write_record(
        &mut self,
        name: &str,
        record: Result<Bytes, RecordError>,
    ) -> Result<(), CheckpointError> {
        let bytes = record.map_err(|error| self.unwritable(name, error))?;
        self.write(name, &bytes)
    }
}

fn is_finite(data: &TensorData) -> bool {
    match data.as_slice::<f32>() {
        Ok(values) => values.iter().all(|value| value.is_finite()),
        Err(_) => data.iter::<f64>().all(f64::is_finite), // another float type
    }
}

impl Checkpoint {
    fn record<R>(
        &self,
        name: &str,
        parse: impl FnOnce(Bytes) -> Result<R, RecordError>,
    ) -> Result<R, CheckpointError> {
        parse(Bytes::from_bytes_vec(self.read(name)?)).map_err(|error| self.misfit(name, error))
    }
}
