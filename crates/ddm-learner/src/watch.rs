//! A watch for losses that are not finite.

use burn::train::TrainingError;
use burn::train::checkpoint::CheckpointerError;
use ddm_train::{Checkpoints, SampleLosses};

/// The losses since the last check. They are read together, since reading waits for the device.
pub(crate) struct Watch<'a> {
    checkpoints: &'a Checkpoints,
    unread: Vec<(usize, SampleLosses)>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(checkpoints: &'a Checkpoints) -> Self {
        Self { checkpoints, unread: Vec::new() }
    }
    pub(crate) fn add(&mut self, step: usize, losses: SampleLosses) {
        self.unread.push((step, losses.without_autodiff()));
    }
    pub(crate) fn is_full(&self) -> bool {
        self.unread.len() >= 10
    }
    /// Returns an error if a loss is not finite.
    pub(crate) fn check(&mut self) -> Result<(), TrainingError> {
        for (step, losses) in self.unread.drain(..) {
            losses.require_finite(step).map_err(|error| {
                let last = match self.checkpoints.last() {
                    Ok(Some(last)) => {
                        format!("the last checkpoint is {}", last.directory().display())
                    }
                    _ => "there is no checkpoint yet".to_owned(),
                };
                CheckpointerError::Unknown(format!("{error}; {last}"))
            })?;
        }
        Ok(())
    }
}
