//! The errors of the hub.

use std::io;
use std::path::PathBuf;

use ddm_weights::WeightsError;
use thiserror::Error;

use crate::PipelineError;

/// A model that cannot be fetched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HubError {
    /// What is no name of a model on the hub.
    #[error(
        "{found} is no name of a model on the hub; give organization/name, or \
         organization/name:path/to/file, of letters, digits and ._-+=@,()"
    )]
    Name {
        /// What was found.
        found: String,
    },
    /// What is no revision.
    #[error("{found:?} is no revision; give a branch, a tag or a commit, such as main")]
    Revision {
        /// What was found.
        found: String,
    },
    /// No place for the cache.
    #[error("there is no home directory for the cache of the hub; set HF_HOME to a folder")]
    NoHome,
    /// A repository or a revision that the hub does not have.
    #[error(
        "{endpoint} has no model {repository} with the revision {revision}; check the spelling of both"
    )]
    NoRepository {
        /// The hub.
        endpoint: String,
        /// The repository.
        repository: String,
        /// The revision.
        revision: String,
    },
    /// A repository that is private, gated, or not there: the hub does not say which without a token.
    #[error(
        "{endpoint} does not give {repository} ({status}{}): check its spelling; if it is right, accept \
         its terms at {endpoint}/{repository}, and set HF_TOKEN to {} of your account",
        if *with_token { " to this token" } else { "" },
        if *with_token { "another token" } else { "a token" }
    )]
    NeedsToken {
        /// The hub.
        endpoint: String,
        /// The repository.
        repository: String,
        /// The status of HTTP, 401 or 403.
        status: u16,
        /// Whether there was a token.
        with_token: bool,
    },
    /// A file that a model must have, and does not.
    #[error(
        "{repository} with the revision {revision} has no {file}; {}",
        if weights.is_empty() { "it is no model of diffusers".to_owned() }
        else { format!("give {repository}:FILE for one of {}", weights.join(", ")) }
    )]
    Missing {
        /// The repository.
        repository: String,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The files with weights that it has outside of folders, at most eight.
        weights: Vec<String>,
    },
    /// A model that the cache lacks, or has only in part, while nothing may be requested.
    #[error(
        "{repository} with the revision {revision} is not in {}{}, and the hub is offline; \
         allow requests (no --offline, no HF_HUB_OFFLINE) to download it, or set HF_HOME or \
         HF_HUB_CACHE to the cache that has it",
        cache.display(), file.as_ref().map_or(String::new(), |file| format!(" as a whole ({file} is absent)"))
    )]
    NotCached {
        /// The repository.
        repository: String,
        /// The revision.
        revision: String,
        /// The folder of the cache.
        cache: PathBuf,
        /// The first file that is not there, if any of the model is.
        file: Option<String>,
    },
    /// No connection, or one that broke.
    #[error(
        "cannot reach {endpoint}: {reason}; check the connection, or go offline (--offline, \
         HF_HUB_OFFLINE=1) to use what the cache has"
    )]
    Unreachable {
        /// The hub.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// A request that the hub refused.
    #[error("the hub refuses {file} with the status {status}; try again later")]
    Refused {
        /// The file, or the repository for its listing.
        file: String,
        /// The status of HTTP.
        status: u16,
    },
    /// A download that ended early.
    #[error("the download of {file} was cut: {reason}; run again, and it goes on from there")]
    Cut {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A file that has another size than the hub says.
    #[error("{file} came with {found} bytes in place of {expected} and was removed; run again")]
    Size {
        /// The file.
        file: String,
        /// The bytes that came.
        found: u64,
        /// The bytes that the hub lists.
        expected: u64,
    },
    /// No room for a file.
    #[error("no room for {file} ({size} bytes) in {}; free some, or set HF_HOME to another disk", cache.display())]
    DiskFull {
        /// The file.
        file: String,
        /// Its bytes.
        size: u64,
        /// The folder of the cache.
        cache: PathBuf,
    },
    /// A cache that cannot be written.
    #[error("cannot write to the cache in {}: {source}; set HF_HOME to a folder that is yours", cache.display())]
    Write {
        /// The folder.
        cache: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file that another program downloads.
    #[error("another program is downloading {file}; wait for it, and run again")]
    Busy {
        /// The file.
        file: String,
    },
    /// A response that is not one of the hub.
    #[error("{endpoint} does not respond as the hub does: {reason}; check the endpoint")]
    Answer {
        /// The hub.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A `model_index.json` that cannot be read.
    #[error(transparent)]
    Index(Box<PipelineError>),
    /// An index of shards that cannot be read.
    #[error(transparent)]
    Shards(#[from] WeightsError),
}

impl From<PipelineError> for HubError {
    fn from(error: PipelineError) -> Self {
        Self::Index(Box::new(error))
    }
}
