//! Errors of directories of diffusers and transformers.

use std::io;
use std::path::PathBuf;

use ddm_weights::WeightsError;
use thiserror::Error;

use crate::NetworkConfigError;

/// A directory of diffusers that cannot be loaded or saved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiffusersError {
    /// A config that could not be read; often it does not exist.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A directory that could not be made. Files in it are [`WeightsError::Write`].
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A config that is not a JSON object.
    #[error("the model config is not a JSON object: {reason}")]
    NotJson {
        /// The parser's message.
        reason: String,
    },
    /// A setting that the network does not have, or not with this value.
    #[error("the model config has `{setting}` = {found}, but it must be {allowed}")]
    Setting {
        /// The setting.
        setting: String,
        /// Its value, as JSON.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// Settings that no network can have.
    #[error(transparent)]
    Network(#[from] NetworkConfigError),
    /// Weights that cannot be read or written, or do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}
