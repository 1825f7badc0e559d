//! Errors of checkpoints.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// An error of a folder of checkpoints.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A folder that another run has open.
    #[error(
        "another run trains in {}; wait until it ends, or train in another folder",
        .directory.display()
    )]
    Locked {
        /// The folder.
        directory: PathBuf,
    },
    /// A failure of the file system. The checkpoints that were there are as they were.
    #[error("cannot {action} {}: {reason}; the earlier checkpoints are whole", .path.display())]
    Io {
        /// What failed: "write", "read", "rename", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The message of the system.
        reason: String,
    },
    /// A checkpoint that is not what was saved.
    #[error("the checkpoint {} is damaged: {reason}", .path.display())]
    Damaged {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Weights that are not finite, of which no checkpoint is made.
    #[error(
        "parameter {parameter} of {file} is not finite after step {step}, so no checkpoint is saved; \
         continue from the last one with a smaller learning rate or clipped gradients"
    )]
    NotFinite {
        /// The number of steps that were taken.
        step: usize,
        /// The file that would have it.
        file: String,
        /// The path of the parameter.
        parameter: String,
    },
    /// Checkpoints of which none is whole.
    #[error(
        "no checkpoint in {} is whole; restore one from a backup, or move the folder away to start \
         again",
        .directory.display()
    )]
    NoneWhole {
        /// The folder.
        directory: PathBuf,
    },
    /// A checkpoint to be saved in a folder that has a later one.
    #[error(
        "{} has a checkpoint of step {last}, and step {step} is not after it; continue from the last \
         one, or train in another folder",
        .directory.display()
    )]
    NotLater {
        /// The folder.
        directory: PathBuf,
        /// The step to be saved.
        step: usize,
        /// The last one that is there.
        last: usize,
    },
    /// A checkpoint of a training with another seed.
    #[error(
        "the checkpoint {} is of seed {found}, and this training has seed {expected}; train with \
         seed {found}, or in another folder",
        .path.display()
    )]
    Seed {
        /// The checkpoint.
        path: PathBuf,
        /// Its seed.
        found: u64,
        /// That of the training.
        expected: u64,
    },
    /// A checkpoint of another network or optimizer.
    #[error(
        "{file} of the checkpoint {} does not fit: {reason}; continue with the network and the \
         optimizer that were saved, or train in another folder",
        .path.display()
    )]
    Record {
        /// The checkpoint.
        path: PathBuf,
        /// The file in it.
        file: String,
        /// What does not fit.
        reason: String,
    },
}

impl CheckpointError {
    /// Returns a conversion of errors of the file system.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { action, path: path.to_owned(), reason: error.to_string() }
    }
}
