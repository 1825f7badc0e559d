//! The errors of pipelines.

use std::io;
use std::path::PathBuf;

use ddm_denoiser::ModelError;
use ddm_diffusers::ConfigError;
use ddm_models::DiffusersError;
use ddm_models::lora::LoraError;
use ddm_models::single_file::SingleFileError;
use ddm_samplers::SamplingError;
use ddm_schedule::{GridError, Invalid};
use thiserror::Error;

/// A pipeline that cannot be loaded, or a request that it cannot meet.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A file that cannot be read; often it does not exist.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file that is not what its name says.
    #[error("{} is invalid: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A class of pipelines that this crate does not have.
    #[error("the pipeline class {found} is not supported; the supported classes are {known}")]
    UnknownClass {
        /// The class.
        found: String,
        /// Those that are there.
        known: String,
    },
    /// A part that the pipeline's `model_index.json` does not have, or that is of another class.
    #[error("the pipeline in {} has {found} for its {part}, but must have {allowed}", path.display())]
    Component {
        /// The directory.
        path: PathBuf,
        /// The name of the part.
        part: String,
        /// What was found.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// A request for something that the pipeline does not do.
    #[error("{pipeline} takes no {what}; leave it out{}", hint.as_ref().map_or(String::new(), |it| format!(", or {it}")))]
    NotTaken {
        /// The pipeline.
        pipeline: &'static str,
        /// What was requested.
        what: &'static str,
        /// What to do instead.
        hint: Option<&'static str>,
    },
    /// A request that lacks something.
    #[error("{pipeline} needs {what}")]
    Needed {
        /// The pipeline.
        pipeline: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// A setting of a request out of range.
    #[error("{what} is {found}, but must be {allowed}")]
    Request {
        /// The setting.
        what: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// A name of a sampler that is not known.
    #[error("there is no sampler {found}; the samplers are {known}")]
    UnknownSampler {
        /// The name.
        found: String,
        /// The names.
        known: String,
    },
    /// Weights or a config that cannot be loaded.
    #[error(transparent)]
    Network(#[from] DiffusersError),
    /// A single file that cannot be loaded.
    #[error(transparent)]
    SingleFile(#[from] SingleFileError),
    /// A LoRA that does not fit.
    #[error(transparent)]
    Lora(#[from] LoraError),
    /// An invalid scheduler config.
    #[error(transparent)]
    Scheduler(#[from] ConfigError),
    /// Inputs that do not fit the networks.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A run that cannot start.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// Weights that cannot be changed or read.
    #[error(transparent)]
    Weights(#[from] ddm_weights::WeightsError),
}

impl From<Invalid> for PipelineError {
    fn from(error: Invalid) -> Self {
        ModelError::from(error).into()
    }
}

impl From<GridError> for PipelineError {
    fn from(error: GridError) -> Self {
        ConfigError::from(error).into()
    }
}

impl PipelineError {
    /// Returns an error unless `good`.
    pub(crate) fn require(
        good: bool,
        what: &'static str,
        found: impl std::fmt::Display,
        allowed: impl Into<String>,
    ) -> Result<(), Self> {
        if good {
            return Ok(());
        }
        Err(Self::Request { what, found: found.to_string(), allowed: allowed.into() })
    }
}
