//! Models from the Hugging Face Hub, and from its cache.

mod choose;
mod error;
mod listing;
mod name;
mod settings;
mod snapshot;
mod transfer;

use std::fmt;
use std::path::PathBuf;

pub use error::HubError;
pub use transfer::Transfer;

use name::Name;
use snapshot::Snapshot;

/// Where models come from: the Hugging Face Hub, and the cache that `huggingface_hub` has too.
///
/// [`fetch`](Self::fetch) downloads the files that a model needs and the cache lacks, and returns their
/// directory, which [`open`](crate::open) and the networks' `from_diffusers` take.
///
/// ```no_run
/// use burn::tensor::Device;
/// use ddm_pipelines::{Hub, Loading, open};
/// let hub = Hub { revision: "main".to_owned(), ..Hub::from_env()? };
/// let directory = hub.fetch("stabilityai/sd-turbo", &mut |at| {
///     eprintln!("{}: {} of {} bytes", at.file, at.received, at.size);
/// })?;
/// let pipeline = open(directory, &Loading::new(&Device::flex()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Hub {
    /// The folder of the cache, with a folder for each repository.
    pub cache: PathBuf,
    /// The address of the hub, `https://huggingface.co` or that of a mirror. What it names is written
    /// into the cache, so it must be one that you trust.
    pub endpoint: String,
    /// The token of a user, for repositories that not everybody may read. It is sent to the hub; for such
    /// repositories, and by an endpoint of your own, also to the servers that large files are on.
    pub token: Option<String>,
    /// Whether nothing is requested: the cache has the model, or it is an error.
    pub offline: bool,
    /// A branch, a tag or a commit; the branch of releases is `main`.
    pub revision: String,
    /// Whether weights in f16 are preferred, where the repository has them beside the others. By
    /// default they are fetched only where there are no others. Networks are loaded from the others if
    /// the cache has both.
    pub fp16: bool,
}

// Not derived, since a log must not have the token.
impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cache, endpoint, token, offline, revision, fp16 } = self;
        f.debug_struct("Hub")
            .field("cache", cache)
            .field("endpoint", endpoint)
            .field("token", &token.as_ref().map(|_| "…"))
            .field("offline", offline)
            .field("revision", revision)
            .field("fp16", fp16)
            .finish()
    }
}

impl Hub {
    /// Fetches the model `organization/name`, and returns the directory of its files; or the file of
    /// `organization/name:path/to/file.safetensors`, and returns its path.
    ///
    /// Of a pipeline's repository these are `model_index.json`, and for each part that a pipeline of this
    /// crate loads its config and weights, or the files of a tokenizer or scheduler; of a network's, its
    /// config and weights. Weights are those that [`Variant::file`](ddm_weights::Variant::file) chooses:
    /// safetensors before PyTorch's, and one variant. Nothing is read but the listing where the cache
    /// has all of them. Downloads that were cut go on where they stopped.
    ///
    /// # Errors
    ///
    /// Returns an error if this is no such name, the hub does not have the model or not for this token,
    /// the model lacks a file or its pipeline is none of this crate's, a download fails, or what is needed is not in the cache and
    /// [`offline`](Self::offline) is set.
    pub fn fetch(
        &self,
        model: &str,
        progress: &mut dyn FnMut(&Transfer<'_>),
    ) -> Result<PathBuf, HubError> {
        let name = Name::parse(model)?;
        let mut snapshot = match self.offline {
            true => Snapshot::cached(self, &name)?,
            false => Snapshot::online(self, &name, progress)?,
        };
        let path = match &name.file {
            Some(file) => snapshot.get(file)?,
            None => {
                choose::fetch(&mut snapshot, self.fp16)?;
                snapshot.directory().to_owned()
            }
        };
        snapshot.finish()?;
        Ok(path)
    }
}
