//! The files that a repository has.

use std::collections::BTreeMap;

use hf_hub::api::sync::ApiRepo;
use serde::Deserialize;
use serde_json::Value;

use super::name::{Name, is_commit, is_path};
use super::{Hub, HubError};

/// The longest listing that is read; those of large repositories have a few megabytes.
const LONGEST: u64 = 100_000_000;

/// The files of a repository at a commit.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) commit: String,
    /// Whether not everybody may read it.
    pub(super) closed: bool,
    pub(super) files: BTreeMap<String, Entry>,
}

/// A file: its size, and its name among the blobs of the cache, where the hub says them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) size: Option<u64>,
    pub(super) blob: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    gated: Value,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Listing {
    /// Requests the listing.
    pub(super) fn of(hub: &Hub, name: &Name, repo: &ApiRepo) -> Result<Self, HubError> {
        let (endpoint, repository) = (hub.endpoint.clone(), name.repository.clone());
        let request = repo.info_request().query("blobs", "true");
        let mut response = request.call().map_err(|error| match error {
            ureq::Error::StatusCode(404) => {
                let revision = hub.revision.clone();
                HubError::NoRepository { endpoint: endpoint.clone(), repository, revision }
            }
            error => hub.request_failed(error, name, &name.repository),
        })?;
        let bytes = response.body_mut().with_config().limit(LONGEST).read_to_vec();
        let bytes = bytes.map_err(|error| hub.request_failed(error, name, &name.repository))?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| HubError::Answer {
            endpoint: endpoint.clone(),
            reason: format!("its listing of {} is another: {error}", name.repository),
        })?;
        if !is_commit(&answer.sha) {
            let reason = format!("the commit {:?} is none", answer.sha);
            return Err(HubError::Answer { endpoint, reason });
        }
        // A name that leads out of the folder is never requested.
        let siblings = answer.siblings.into_iter().filter(|it| is_path(&it.rfilename));
        let files = siblings.map(|it| {
            let (size, blob) = match it.lfs {
                Some(lfs) => (Some(lfs.size), Some(lfs.sha256)),
                None => (it.size, it.blob_id),
            };
            (it.rfilename, Entry { size, blob: blob.filter(|blob| is_commit(blob)) })
        });
        Ok(Self {
            commit: answer.sha,
            closed: answer.private || !matches!(answer.gated, Value::Null | Value::Bool(false)),
            files: files.collect(),
        })
    }
}

impl Hub {
    /// Returns the error of a request for a file, or for the listing of a repository.
    pub(super) fn request_failed(&self, error: ureq::Error, name: &Name, file: &str) -> HubError {
        let (endpoint, repository) = (self.endpoint.clone(), name.repository.clone());
        match error {
            ureq::Error::StatusCode(status @ (401 | 403)) => {
                let with_token = self.token.is_some();
                HubError::NeedsToken { endpoint, repository, status, with_token }
            }
            ureq::Error::StatusCode(status) => HubError::Refused { file: file.to_owned(), status },
            error => HubError::Unreachable { endpoint, reason: error.to_string() },
        }
    }
}
