//! The tensors of a file or directory, by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{DType, TensorData};

use crate::source::Source;
use crate::{Fault, TensorView, WeightsError, gguf, safetensors, torch};

/// Tensors by name, which are read on request.
///
/// Opening reads the header alone, and checks all of it. The file stays open, and is read at the places
/// where the tensors are. It is not mapped into memory: so no more than one tensor is there at a time, and
/// a file that shrinks meanwhile is an error.
///
/// ```
/// use burn::tensor::TensorData;
/// use ddm_weights::Tensors;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let header = br#"{"scale":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} "#;
/// # let mut file = (header.len() as u64).to_le_bytes().to_vec();
/// # file.extend(header);
/// # file.extend(2.0_f32.to_le_bytes());
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("model.safetensors");
/// # std::fs::write(&path, file)?;
/// let tensors = Tensors::open(path)?;
/// for (name, view) in tensors.iter() {
///     println!("{name}: {:?} in {}", view.shape(), view.stored());
/// }
/// assert_eq!(tensors.read("scale")?, TensorData::from([2.0_f32]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tensors {
    origin: PathBuf,
    views: BTreeMap<String, TensorView>,
    metadata: BTreeMap<String, String>,
}

impl Tensors {
    /// Opens a file: safetensors, GGUF, or one that `torch.save` wrote (`.bin`, `.pt`, `.ckpt`, `.pth`).
    /// Its first bytes tell which.
    ///
    /// Of a file of PyTorch, dictionaries in dictionaries get names with dots. If there is one called
    /// `state_dict`, as in Lightning's checkpoints, it is the only one read.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, is of no such format, or is not what it says it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        Self::parse(&Source::open(path.as_ref())?)
    }

    /// The same for the bytes of a file.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, WeightsError> {
        Self::parse(&Source::memory(bytes))
    }

    fn parse(source: &Arc<Source>) -> Result<Self, WeightsError> {
        let mut start = [0; 16];
        let known = source.len().min(16) as usize;
        source.read_at(0, &mut start[..known])?;
        match start {
            [b'G', b'G', b'U', b'F', ..] => gguf::open(source),
            [b'P', b'K', 3, 4, ..] => torch::open_archive(source),
            // A header's length, and a JSON object.
            [.., 0, b'{', _, _, _, _, _, _, _] => safetensors::open(source),
            [0x80, 2..=5, ..] => torch::open_legacy(source),
            _ => {
                let hint = match &start {
                    b"version https://" => ": a pointer of git LFS, whose file was not fetched",
                    [b'<', ..] => ": a page of HTML or XML",
                    [b'{', ..] => ": perhaps JSON",
                    _ if known == 0 => ": it is empty",
                    _ => "",
                };
                Err(source.fault(Fault::Format { hint }))
            }
        }
    }

    pub(crate) fn new(
        origin: PathBuf,
        views: BTreeMap<String, TensorView>,
        metadata: BTreeMap<String, String>,
    ) -> Self {
        Self { origin, views, metadata }
    }

    /// The file or directory that the tensors are from.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// What the file says of itself: `__metadata__` of safetensors, the texts and numbers of GGUF.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.views.keys().map(String::as_str)
    }

    /// The names with their tensors, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &TensorView)> {
        self.views.iter().map(|(name, view)| (name.as_str(), view))
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.views.contains_key(name)
    }

    /// A tensor's shape, type and parts, without reading it.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::NoTensor`] if there is no tensor of this name.
    pub fn get(&self, name: &str) -> Result<&TensorView, WeightsError> {
        self.views.get(name).ok_or_else(|| self.no(name))
    }

    /// Reads a tensor in the type that it has, see [`TensorView::dtype`].
    ///
    /// # Errors
    ///
    /// Returns an error if there is no tensor of this name, or it cannot be read.
    pub fn read(&self, name: &str) -> Result<TensorData, WeightsError> {
        self.get(name)?.read()
    }

    /// Reads a tensor as another type, see [`TensorView::read_as`].
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`WeightsError::Cast`].
    pub fn read_as(&self, name: &str, dtype: DType) -> Result<TensorData, WeightsError> {
        self.get(name)?.read_as(dtype)
    }

    /// The elements of all tensors: what is called the number of parameters.
    pub fn elements(&self) -> usize {
        self.views.values().map(TensorView::elements).sum()
    }

    /// The same tensors under other names. Those whose new name is `None` are left out.
    ///
    /// ```no_run
    /// # use ddm_weights::Tensors;
    /// # fn main() -> Result<(), ddm_weights::WeightsError> {
    /// let file = Tensors::open("v1-5-pruned.safetensors")?;
    /// let vae = file.rename(|name| name.strip_prefix("first_stage_model.").map(str::to_owned))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::Renamed`] if two get the same name.
    pub fn rename(
        &self,
        mut name: impl FnMut(&str) -> Option<String>,
    ) -> Result<Self, WeightsError> {
        let mut views = BTreeMap::new();
        let mut old_names = BTreeMap::new();
        for (old, view) in &self.views {
            let Some(new) = name(old) else { continue };
            if let Some(other) = old_names.insert(new.clone(), old) {
                let (first, second) = (other.clone(), old.clone());
                return Err(WeightsError::Renamed { first, second, name: new });
            }
            views.insert(new, view.clone());
        }
        Ok(Self { origin: self.origin.clone(), views, metadata: self.metadata.clone() })
    }

    /// Adds a tensor, in place of one of the same name, which is returned.
    pub fn insert(&mut self, name: impl Into<String>, view: TensorView) -> Option<TensorView> {
        self.views.insert(name.into(), view)
    }

    /// Takes a tensor out, to put parts of it back under other names.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::NoTensor`] if there is no tensor of this name.
    pub fn remove(&mut self, name: &str) -> Result<TensorView, WeightsError> {
        self.views.remove(name).ok_or_else(|| self.no(name))
    }

    fn no(&self, name: &str) -> WeightsError {
        WeightsError::NoTensor { path: self.origin.clone(), tensor: name.to_owned() }
    }
}
