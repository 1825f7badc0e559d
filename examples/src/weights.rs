//! What the networks of a model are, and how large.

use std::fmt;
use std::path::Path;

use ddm_core::weights::{Tensors, Variant, WeightsError};

/// A network of a model's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name in the directory; empty for all of them.
    pub name: String,
    /// The number of its parameters.
    pub parameters: usize,
    /// Its size in the file, in bytes.
    pub bytes: usize,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, parameters, bytes } = self;
        let (millions, megabytes) = (*parameters as f64 / 1e6, *bytes as f64 / 1e6);
        write!(f, "  {name}: {millions:.3} M parameters, {megabytes:.2} MB")
    }
}

/// Returns the networks in a model's directory. Only the heads of the files are read.
///
/// # Errors
///
/// Returns an error if the directory or a file cannot be read.
pub fn described(directory: &Path) -> Result<Vec<Network>, WeightsError> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut parts: Vec<_> = entries.map(|entry| entry.path()).collect();
    parts.retain(|path| path.join("config.json").exists());
    parts.sort();
    let of_part = |path: &std::path::PathBuf| {
        let tensors = match Tensors::component(path, &Variant::PLAIN) {
            Ok(tensors) => tensors,
            Err(_) => Tensors::component(path, &Variant::named("fp16")?)?,
        };
        Ok(Network {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            parameters: tensors.iter().map(|(_, it)| it.elements()).sum(),
            bytes: tensors.iter().map(|(_, it)| it.elements() * it.dtype().size()).sum(),
        })
    };
    parts.iter().map(of_part).collect()
}

/// Returns the sum of networks.
pub fn total(networks: &[Network]) -> Network {
    Network {
        name: "all".to_owned(),
        parameters: networks.iter().map(|network| network.parameters).sum(),
        bytes: networks.iter().map(|network| network.bytes).sum(),
    }
}
