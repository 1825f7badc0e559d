//! A directory as `save_pretrained` writes it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Tensors, WeightsError, index};

/// Which of a component's weights: the plain ones, or a variant such as `fp16`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Variant {
    name: Option<String>,
    or_plain: bool,
}

impl Variant {
    /// The weights whose names say nothing.
    pub const PLAIN: Self = Self { name: None, or_plain: false };

    /// Those whose names have this in them: `diffusion_pytorch_model.fp16.safetensors`.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::Variant`] if this cannot be part of a file's name.
    pub fn named(name: impl Into<String>) -> Result<Self, WeightsError> {
        let name = name.into();
        let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(fine) {
            return Err(WeightsError::Variant(name));
        }
        Ok(Self { name: Some(name), or_plain: false })
    }

    /// The plain weights, where there are none of this variant.
    pub fn or_plain(mut self) -> Self {
        self.or_plain = true;
        self
    }

    /// Returns the file that [`Tensors::component`] would open where `exists` says which names are
    /// there: weights, or an index of shards. So what is needed of a directory elsewhere can be known
    /// before it is here.
    ///
    /// ```
    /// use ddm_weights::Variant;
    /// let there = ["flax_model.msgpack", "pytorch_model.bin", "model.safetensors"];
    /// let file = Variant::PLAIN.file(|name| there.contains(&name));
    /// assert_eq!(file.as_deref(), Some("model.safetensors"));
    /// ```
    #[must_use]
    pub fn file(&self, exists: impl Fn(&str) -> bool) -> Option<String> {
        let places = self.places();
        places.iter().map(Place::name).find(|name| exists(name)).map(str::to_owned)
    }

    fn places(&self) -> Vec<Place> {
        let mut found = places(self.name.as_deref());
        if self.or_plain && self.name.is_some() {
            found.extend(places(None));
        }
        found
    }

    fn describe(&self) -> String {
        match &self.name {
            None => "no variant".to_owned(),
            Some(name) if self.or_plain => format!("the variant {name}, or none"),
            Some(name) => format!("the variant {name}"),
        }
    }
}

/// A place where weights may be: a file, or the index of shards.
enum Place {
    File(String),
    Index(String),
}

impl Place {
    fn name(&self) -> &str {
        let (Self::File(name) | Self::Index(name)) = self;
        name
    }
}

/// The names under which diffusers and transformers write weights, those preferred first.
fn places(variant: Option<&str>) -> Vec<Place> {
    let mut places = Vec::new();
    let dotted = variant.map_or(String::new(), |variant| format!(".{variant}"));
    for (stem, extension) in [
        ("diffusion_pytorch_model", "safetensors"),
        ("model", "safetensors"),
        ("diffusion_pytorch_model", "bin"),
        ("pytorch_model", "bin"),
    ] {
        places.push(Place::File(format!("{stem}{dotted}.{extension}")));
        places.push(Place::Index(format!("{stem}.{extension}.index{dotted}.json")));
        if variant.is_some() {
            // As some repositories have it.
            places.push(Place::Index(format!("{stem}{dotted}.{extension}.index.json")));
        }
    }
    places
}

impl Tensors {
    /// The tensors of a directory that diffusers or transformers wrote.
    ///
    /// Safetensors are preferred to PyTorch's `.bin`, and a file to shards. Shards are those that the index
    /// lists: `diffusion_pytorch_model.safetensors.index.json`, and for the variant fp16
    /// `….index.fp16.json` or `….fp16.safetensors.index.json`. Other files in the directory are not
    /// looked at.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::NoWeights`] if there are no weights of this variant; and those errors of
    /// [`open`](Self::open) and of shards that do not fit their index.
    pub fn component(directory: impl AsRef<Path>, variant: &Variant) -> Result<Self, WeightsError> {
        let directory = directory.as_ref();
        let looked_for = variant.places();
        match looked_for.iter().find(|place| directory.join(place.name()).exists()) {
            Some(Place::File(name)) => Self::open(directory.join(name)),
            Some(Place::Index(name)) => index::open(directory, name),
            None => Err(WeightsError::NoWeights {
                directory: directory.to_owned(),
                variant: variant.describe(),
                looked_for: looked_for.iter().map(|place| place.name().to_owned()).collect(),
                found: found(directory)?,
            }),
        }
    }
}

/// The names of a directory's files that could be weights.
fn found(directory: &Path) -> Result<Vec<String>, WeightsError> {
    let failed = |source| WeightsError::Read { path: PathBuf::from(directory), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        let extensions = [".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".gguf", ".msgpack"];
        if extensions.iter().any(|end| name.ends_with(end)) || name.contains(".index.") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
