//! A single file, sorted into its parts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ddm_weights::{LoadOptions, Tensors};

use super::known::{V_PREDICTION, is_of_training, other};
use super::part::Place;
use super::{Layout, Part, SingleFileError};

/// A checkpoint of one file: safetensors, PyTorch's (`.ckpt`, of which nothing is run) or GGUF.
///
/// Opening reads the names and shapes alone. A part is read when it is made.
#[derive(Clone, Debug)]
pub struct SingleFile {
    pub(super) path: PathBuf,
    pub(super) options: LoadOptions,
    layout: Layout,
    parts: BTreeMap<Part, Tensors>,
    says_v: bool,
}

impl SingleFile {
    /// Opens a file, and tells its layout. Weights of 8 bits are [multiplied by their
    /// scales](Tensors::dequantized).
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, is in no known layout, or has tensors that belong to
    /// no part.
    ///
    /// ```no_run
    /// use burn::tensor::Device;
    /// use ddm_models::single_file::{Layout, SingleFile};
    /// # fn main() -> Result<(), ddm_models::single_file::SingleFileError> {
    /// let file = SingleFile::open("flux1-dev-Q8_0.gguf")?;
    /// assert_eq!(file.layout(), Layout::Flux);
    /// let network = file.flux(&file.flux_config()?, &Device::flex())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SingleFileError> {
        Self::from_tensors(&Tensors::open(path)?)
    }

    /// The same of tensors that are open: of several files, or under other names.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_tensors(tensors: &Tensors) -> Result<Self, SingleFileError> {
        let tensors = &tensors.dequantized()?;
        let path = tensors.origin().to_owned();
        let kept = || tensors.names().filter(|name| !is_of_training(name));
        let of_another = |name| other(Place::of(name).map_or(name, |(_, name)| name));
        let unrecognized = || {
            let hint = tensors.names().find_map(of_another);
            let hint = hint.map(|what| format!(": perhaps {what}")).unwrap_or_default();
            let names = tensors.names().map(str::to_owned).collect();
            SingleFileError::Unrecognized { path: path.clone(), hint, names }
        };
        // Some networks have tensors of these layouts, and more.
        if kept().any(|name| of_another(name).is_some()) {
            return Err(unrecognized());
        }
        let bare: Vec<&str> = kept().filter(|name| Place::of(name).is_none()).collect();
        let place_of_bare = Place::of_bare(&bare);
        let place = |name: &str| match Place::of(name) {
            _ if is_of_training(name) => None,
            Some((place, name)) => Some((place, name.to_owned())),
            None => place_of_bare.map(|place| (place, name.to_owned())),
        };
        let all: BTreeSet<Place> = tensors.names().filter_map(place).map(|(at, _)| at).collect();
        let mut places = BTreeMap::new();
        for at in all {
            let within = |name: &str| place(name).filter(|(place, _)| *place == at);
            places.insert(at, tensors.rename(|name| Some(within(name)?.1))?);
        }
        let (layout, network) = Layout::of(&places).ok_or_else(unrecognized)?;
        if place_of_bare.is_none() && !bare.is_empty() {
            let names = bare.into_iter().map(str::to_owned).collect();
            return Err(SingleFileError::Unknown { path, layout, names });
        }
        let part = |place| match place {
            Place::Network => network,
            Place::Of(part) => Some(part),
        };
        let parts = places.into_iter().filter_map(|(place, of)| Some((part(place)?, of))).collect();
        let says_v = tensors.contains(V_PREDICTION);
        Ok(Self { path, options: LoadOptions::new(), layout, parts, says_v })
    }

    /// Sets how parts are loaded: cast to a type, or refused if a weight is not finite.
    #[must_use]
    pub fn with_options(self, options: LoadOptions) -> Self {
        Self { options, ..self }
    }

    /// Returns the layout.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Returns the parts that the file has.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        self.parts.keys().copied()
    }

    /// Whether the file says that its network predicts v: it has an empty tensor `v_pred`, as some files
    /// in the layout of Stable Diffusion XL. Others may predict v without saying so.
    #[must_use]
    pub fn says_v_prediction(&self) -> bool {
        self.says_v
    }

    /// Returns the tensors of a part, by their names in the file, without what is before them there.
    ///
    /// # Errors
    ///
    /// Returns [`SingleFileError::NoPart`] if the file does not have it.
    pub fn tensors(&self, part: Part) -> Result<&Tensors, SingleFileError> {
        self.parts.get(&part).ok_or_else(|| {
            let (path, layout, has) = (self.path.clone(), self.layout, self.parts().collect());
            SingleFileError::NoPart { path, layout, part, has }
        })
    }
}
