//! The folder of a repository's files at a commit.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

use super::listing::{Entry, Listing};
use super::name::{Name, is_commit, is_path};
use super::settings::ENDPOINT;
use super::transfer::{Report, Watch};
use super::{Hub, HubError};

/// The files of a repository: those in the cache, and those that can be downloaded.
pub(super) struct Snapshot<'a> {
    hub: &'a Hub,
    name: &'a Name,
    /// The repository's folder in the cache.
    folder: PathBuf,
    commit: String,
    directory: PathBuf,
    remote: Option<Remote<'a>>,
}

struct Remote<'a> {
    repo: ApiRepo,
    listing: Listing,
    report: Report<'a>,
}

impl<'a> Snapshot<'a> {
    /// Returns what the cache has of the revision.
    pub(super) fn cached(hub: &'a Hub, name: &'a Name) -> Result<Self, HubError> {
        let folder = folder(hub, name)?;
        let named = fs::read_to_string(folder.join("refs").join(&hub.revision)).unwrap_or_default();
        let found = [named.trim(), &hub.revision].into_iter().find(|it| is_commit(it));
        let commit = found.unwrap_or_default().to_owned();
        let directory = folder.join("snapshots").join(&commit);
        if commit.is_empty() || !directory.is_dir() {
            return Err(hub.not_cached(name, None));
        }
        Ok(Self { hub, name, folder, commit, directory, remote: None })
    }

    /// Requests what the revision has.
    pub(super) fn online(
        hub: &'a Hub,
        name: &'a Name,
        report: Report<'a>,
    ) -> Result<Self, HubError> {
        let folder = folder(hub, name)?;
        let repo = |token: &Option<String>, revision: &str| {
            Ok::<_, HubError>(hub.api(token)?.repo(repository(name, revision)))
        };
        let listing = Listing::of(hub, name, &repo(&hub.token, &hub.revision)?)?;
        // The servers of large files are shown the token only where the hub must be. (A mirror may want
        // one for all.)
        let token = hub.token.clone().filter(|_| listing.closed || hub.endpoint != ENDPOINT);
        // By its commit, so that all files are of one, even if the branch moves on meanwhile.
        let repo = repo(&token, &listing.commit)?;
        let commit = listing.commit.clone();
        let directory = folder.join("snapshots").join(&commit);
        let remote = Some(Remote { repo, listing, report });
        Ok(Self { hub, name, folder, commit, directory, remote })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether the repository has a file, as far as it is known here.
    pub(super) fn has(&self, file: &str) -> bool {
        match &self.remote {
            Some(remote) => remote.listing.files.contains_key(file),
            None => is_path(file) && self.directory.join(file).is_file(),
        }
    }

    /// Returns the path of a file, which is downloaded if the cache lacks it.
    pub(super) fn get(&mut self, file: &str) -> Result<PathBuf, HubError> {
        if !self.has(file) {
            return Err(self.missing(file));
        }
        let path = self.directory.join(file);
        let Some(remote) = &mut self.remote else { return Ok(path) };
        let Some(Entry { size, blob }) = remote.listing.files.get(file) else { return Ok(path) };
        let there = fs::metadata(&path).is_ok_and(|it| size.is_none_or(|size| size == it.len()));
        if there {
            return Ok(path);
        }
        let mut download = || {
            let watch = Watch::new(file, size.unwrap_or(0), &mut *remote.report);
            remote.repo.download_with_progress(file, watch)
        };
        let mut done = download();
        if let (Err(error), Some(blob)) = (&done, blob)
            && cannot_resume(error)
        {
            // What an earlier download left fits no longer.
            let part = self.folder.join("blobs").join(blob).with_extension("part");
            if fs::remove_file(part).is_ok() {
                done = download();
            }
        }
        let expected = *size;
        done.map_err(|error| self.failed(error, file, expected.unwrap_or(0)))?;
        let found = fs::metadata(&path).map_err(|source| self.write(source))?.len();
        match expected.filter(|&expected| expected != found) {
            None => Ok(path),
            Some(expected) => {
                let blob = fs::canonicalize(&path).map_err(|source| self.write(source))?;
                fs::remove_file(&path).map_err(|source| self.write(source))?;
                if blob.exists() {
                    fs::remove_file(blob).map_err(|source| self.write(source))?;
                }
                Err(HubError::Size { file: file.to_owned(), found, expected })
            }
        }
    }

    /// Writes down which commit the revision is.
    pub(super) fn finish(self) -> Result<(), HubError> {
        if self.remote.is_none() || self.hub.revision == self.commit {
            return Ok(());
        }
        // Downloads by a commit write it down as if it were a branch.
        let _ = fs::remove_file(self.folder.join("refs").join(&self.commit));
        let cache = Cache::new(self.hub.cache.clone());
        let written =
            cache.repo(repository(self.name, &self.hub.revision)).create_ref(&self.commit);
        written.map_err(|source| self.write(source))
    }

    /// Returns the error for a file that is not there.
    pub(super) fn missing(&self, file: &str) -> HubError {
        let Some(remote) = &self.remote else {
            return self.hub.not_cached(self.name, Some(file.to_owned()));
        };
        let weights = |name: &&String| {
            let ends = [".safetensors", ".ckpt", ".gguf", ".bin", ".pth"];
            !name.contains('/') && ends.iter().any(|end| name.ends_with(end))
        };
        HubError::Missing {
            repository: self.name.repository.clone(),
            revision: self.hub.revision.clone(),
            file: file.to_owned(),
            weights: remote.listing.files.keys().filter(weights).take(8).cloned().collect(),
        }
    }

    fn write(&self, source: io::Error) -> HubError {
        HubError::Write { cache: self.hub.cache.clone(), source }
    }

    /// Returns the error of a download.
    fn failed(&self, error: ApiError, file: &str, size: u64) -> HubError {
        let named = file.to_owned();
        match error {
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(404) => self.missing(file),
                error => self.hub.request_failed(error, self.name, file),
            },
            ApiError::IoError(source) => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    HubError::DiskFull { file: named, size, cache: self.hub.cache.clone() }
                }
                // Errors of the system have a number, but for an end that came too early.
                _ if source.raw_os_error().is_none() || is_of_network(source.kind()) => {
                    HubError::Cut { file: named, reason: source.to_string() }
                }
                _ => self.write(source),
            },
            ApiError::LockAcquisition(_) => HubError::Busy { file: named },
            error => {
                let reason = format!("{file}: {error}");
                HubError::Answer { endpoint: self.hub.endpoint.clone(), reason }
            }
        }
    }
}

impl Hub {
    fn api(&self, token: &Option<String>) -> Result<Api, HubError> {
        ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.trim_end_matches('/').to_owned())
            .with_token(token.clone())
            .with_progress(false)
            .with_user_agent("ddm", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| HubError::Answer {
                endpoint: self.endpoint.clone(),
                reason: error.to_string(),
            })
    }

    fn not_cached(&self, name: &Name, file: Option<String>) -> HubError {
        HubError::NotCached {
            repository: name.repository.clone(),
            revision: self.revision.clone(),
            cache: self.cache.clone(),
            file,
        }
    }
}

fn repository(name: &Name, revision: &str) -> Repo {
    Repo::with_revision(name.repository.clone(), RepoType::Model, revision.to_owned())
}

/// Returns a repository's folder, if the revision can be part of a path.
fn folder(hub: &Hub, name: &Name) -> Result<PathBuf, HubError> {
    match is_path(&hub.revision) {
        true => Ok(hub.cache.join(repository(name, &hub.revision).folder_name())),
        false => Err(HubError::Revision { found: hub.revision.clone() }),
    }
}

/// Whether a download cannot go on from what an earlier one left.
fn cannot_resume(error: &ApiError) -> bool {
    match error {
        ApiError::InvalidResume => true,
        ApiError::RequestError(error) => matches!(**error, ureq::Error::StatusCode(416)),
        _ => false,
    }
}

fn is_of_network(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
}
