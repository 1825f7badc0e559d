//! A module into a file.

use std::error::Error;
use std::io;
use std::path::Path;

use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleStore, SafetensorsStore, SafetensorsStoreError};

use crate::{NewFile, WeightsError};

/// Saves a module's weights as a safetensors file in PyTorch's names and layouts, as [`load`](crate::load)
/// reads them, and as diffusers and transformers do.
///
/// The file is written under another name and then renamed ([`NewFile`]), so that a failure leaves the
/// complete old file. Tensors are written one after the other, in the types that they have.
///
/// # Errors
///
/// Returns [`WeightsError::Write`] if the file cannot be written, for example to a missing directory or
/// a full disk.
pub fn save<M: Module>(module: &M, path: impl AsRef<Path>) -> Result<(), WeightsError> {
    written(module, path.as_ref(), None)?.commit()
}

/// Writes the tensors of these names, or all of them, to a file that does not have its name yet.
pub(crate) fn written<M: Module>(
    module: &M,
    path: &Path,
    names: Option<&[String]>,
) -> Result<NewFile, WeightsError> {
    NewFile::write(path, |beside| {
        let mut store = SafetensorsStore::from_file(beside)
            .overwrite(true)
            .skip_enum_variants(true)
            // Without it, transformers refuses the file.
            .metadata("format", "pt")
            .with_to_adapter(BurnToPyTorchAdapter);
        if let Some(names) = names {
            store = store.with_full_paths(names);
        }
        store.collect_from(module).map_err(of_system)
    })
}

/// The system's error that is in one of the store, such as that the disk is full.
fn of_system(error: SafetensorsStoreError) -> io::Error {
    match error {
        SafetensorsStoreError::Io(error) => error,
        SafetensorsStoreError::Safetensors(error) => {
            let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
            let kind = cause.map_or(io::ErrorKind::Other, io::Error::kind);
            io::Error::new(kind, error)
        }
        other => io::Error::other(other),
    }
}
