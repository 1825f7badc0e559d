//! The error of a training run, with its last finite state.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use crate::{TrainError, Trained};

/// The error of a training run that stopped early, with the state of its last report.
///
/// It converts to a [`TrainError`] by `?`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::SgdConfig;
/// use burn::tensor::{Device, Tensor};
/// use ddm_train::{TrainError, Training};
/// let device = Device::flex().autodiff();
/// let training = Training { steps: 100, ema_decay: 0.9, seed: 1 };
/// let network = LinearConfig::new(1, 1).init(&device);
/// let stopped = training.run(network, SgdConfig::new().init(), 1e9, |network, _noise| {
///     Ok(network.forward(Tensor::<2>::ones([8, 1], &device)).square().mean())
/// });
/// let stopped = stopped.unwrap_err();
/// assert!(matches!(stopped.error, TrainError::Diverged { .. }));
/// let network = stopped.trained.network; // to continue from, at a smaller learning rate
/// ```
pub struct Stopped<M> {
    /// The reason.
    pub error: TrainError,
    /// Network, average and losses of the last report, when all losses were finite; those of the
    /// start if there was no report.
    pub trained: Box<Trained<M>>,
    /// The last checkpoint, to continue from, of a training that saved some.
    pub checkpoint: Option<PathBuf>,
}

impl<M> fmt::Debug for Stopped<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopped")
            .field("error", &self.error)
            .field("losses", &self.trained.losses)
            .field("checkpoint", &self.checkpoint)
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Display for Stopped<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        match &self.checkpoint {
            Some(path) => write!(f, "; the last checkpoint is {}", path.display()),
            None => Ok(()),
        }
    }
}

impl<M> Error for Stopped<M> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl<M> From<Stopped<M>> for TrainError {
    fn from(stopped: Stopped<M>) -> Self {
        stopped.error
    }
}
