//! What a loss function keeps from step to step, as part of a checkpoint.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, ModuleDisplay};
use burn::store::ModuleRecord;
use burn::tensor::Bytes;

use crate::{Decay, Ema, TrainError};

/// What a loss function keeps from step to step, to be saved with the checkpoints of a training.
///
/// [`Checkpoints::with`](crate::Checkpoints::with) takes it. A [`LossHistory`](crate::LossHistory) is one, and
/// an `Arc<Mutex<Ema<M>>>`, such as the target network of
/// [consistency distillation](crate::Consistency::loss_with).
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use ddm_train::{Checkpoints, Stateful, TrainError};
/// #[derive(Clone, Debug)]
/// struct Seen(Arc<AtomicU64>);
/// impl Stateful for Seen {
///     fn state(&self) -> Result<Vec<u8>, TrainError> {
///         Ok(self.0.load(Relaxed).to_le_bytes().to_vec())
///     }
///     fn restore(&self, state: Vec<u8>) -> Result<(), TrainError> {
///         let misfit = |_| TrainError::Record { reason: "it is no number".to_owned() };
///         self.0.store(u64::from_le_bytes(state.try_into().map_err(misfit)?), Relaxed);
///         Ok(())
///     }
/// }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let seen = Seen(Arc::default());
/// let checkpoints = Checkpoints::open(folder)?.with("seen.bin", seen.clone());
/// seen.0.store(64, Relaxed);
/// checkpoints.save::<TrainError>(1, |_| Ok(()))?;
/// seen.0.store(0, Relaxed);
/// checkpoints.restore(&checkpoints.last()?.expect("it was saved"))?;
/// assert_eq!(seen.0.load(Relaxed), 64);
/// # Ok(())
/// # }
/// ```
pub trait Stateful: Debug + Send + Sync {
    /// Returns all of it, as the content of a file.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be read from the device.
    fn state(&self) -> Result<Vec<u8>, TrainError>;

    /// Replaces it by a saved one.
    ///
    /// # Errors
    ///
    /// Returns [`TrainError::Record`] if the content is not that of such a state.
    fn restore(&self, state: Vec<u8>) -> Result<(), TrainError>;
}

impl<T: Stateful + ?Sized> Stateful for Arc<T> {
    fn state(&self) -> Result<Vec<u8>, TrainError> {
        (**self).state()
    }

    fn restore(&self, state: Vec<u8>) -> Result<(), TrainError> {
        (**self).restore(state)
    }
}

impl<M: Module + ModuleDisplay, D: Decay + Clone + Debug> Stateful for Mutex<Ema<M, D>> {
    fn state(&self) -> Result<Vec<u8>, TrainError> {
        let record = self.lock().unwrap_or_else(PoisonError::into_inner).record()?;
        Ok(record.into_bytes().map_err(misfit)?.to_vec())
    }

    fn restore(&self, state: Vec<u8>) -> Result<(), TrainError> {
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(state)).map_err(misfit)?;
        let mut average = self.lock().unwrap_or_else(PoisonError::into_inner);
        *average = average.with_record(record)?;
        Ok(())
    }
}

fn misfit(error: impl ToString) -> TrainError {
    TrainError::Record { reason: error.to_string() }
}
