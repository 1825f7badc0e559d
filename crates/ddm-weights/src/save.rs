//! A module into a file.

use std::path::Path;

use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleStore, SafetensorsStore};

use crate::WeightsError;

/// Saves a module's weights as a safetensors file in PyTorch's names and layouts, as [`load`](crate::load)
/// reads them, and as diffusers and transformers do.
///
/// The file is written under another name and then renamed, so that a failure leaves the complete old
/// file. Tensors are written one after the other, in the types that they have.
///
/// # Errors
///
/// Returns [`WeightsError::Write`] if the file cannot be written, for example to a missing directory or
/// a full disk.
pub fn save<M: Module>(module: &M, path: impl AsRef<Path>) -> Result<(), WeightsError> {
    store(module, path.as_ref(), None)
}

/// Saves the tensors of these names, or all of them.
pub(crate) fn store<M: Module>(
    module: &M,
    path: &Path,
    names: Option<&[String]>,
) -> Result<(), WeightsError> {
    let mut store = SafetensorsStore::from_file(path)
        .overwrite(true)
        .skip_enum_variants(true)
        // Without it, transformers refuses the file.
        .metadata("format", "pt")
        .with_to_adapter(BurnToPyTorchAdapter);
    if let Some(names) = names {
        store = store.with_full_paths(names);
    }
    store
        .collect_from(module)
        .map_err(|error| WeightsError::Write { path: path.to_owned(), reason: error.to_string() })
}
