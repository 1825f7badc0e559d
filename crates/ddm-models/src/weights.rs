//! Weights in files.

use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::SafetensorsStoreError;
use burn::store::{
    ApplyError, ApplyResult, FloatCastAdapter, IdentityAdapter, KeyRemapper, ModuleAdapter,
    ModuleStore, SafetensorsStore,
};
use burn::tensor::DType;
use thiserror::Error;

/// A failure to save or load weights.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file that could not be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A file that could not be read; often it does not exist.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file that is incomplete, or not a safetensors file.
    #[error("{} is not a complete safetensors file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        reason: String,
    },
    /// Tensors of the network that the file lacks.
    #[error("{} lacks the tensor {tensor}{}", path.display(), and_more(*.more))]
    Missing {
        /// The file.
        path: PathBuf,
        /// The first such tensor.
        tensor: String,
        /// The number of further such tensors.
        more: usize,
    },
    /// Tensors of the file that the network lacks.
    #[error("{} has the tensor {tensor}{}, which the network does not have", path.display(),
        and_more(*.more))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The first such tensor.
        tensor: String,
        /// The number of further such tensors.
        more: usize,
    },
    /// A tensor whose shape or element type differs between the file and the network.
    #[error("{} has {tensor} as {found}, but the network requires {expected}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its shape, or element type, in the file.
        found: String,
        /// Its shape, or element type, in the network.
        expected: String,
    },
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more)") }
}

/// Saves a module's weights as a safetensors file, replacing an existing file.
///
/// The file is written under another name and then renamed, so a failure leaves the complete old
/// file. Names and layouts are those of burn.
///
/// # Errors
///
/// Returns [`WeightsError::Write`] if the file cannot be written, for example to a missing
/// directory or a full disk.
///
/// ```
/// use burn::tensor::Device;
/// use ddm_models::{MlpConfig, load_weights, save_weights};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("mlp.safetensors");
/// let config = MlpConfig::new().with_hidden(16);
/// save_weights(&config.init(&Device::flex())?, &path)?;
/// let network = load_weights(config.init(&Device::flex())?, &path)?;
/// # Ok(())
/// # }
/// ```
pub fn save_weights<M: Module>(module: &M, path: impl AsRef<Path>) -> Result<(), WeightsError> {
    let path = path.as_ref();
    // burn's store writes under another name and renames.
    let mut store = SafetensorsStore::from_file(path).overwrite(true).skip_enum_variants(true);
    store
        .collect_from(module)
        .map_err(|error| WeightsError::Write { path: path.to_owned(), reason: error.to_string() })
}

/// Loads the weights of a safetensors file into a module. The file must have exactly the tensors of
/// the module.
///
/// A file of one float type gives a network of that type: f16 gives f16. A file of several float
/// types gives a network in f32, since a network computes in one type.
///
/// # Errors
///
/// Returns an error if the file is missing or incomplete, or a tensor is missing, unknown, or of
/// another shape. The module is then dropped, never partly loaded.
pub fn load_weights<M: Module>(module: M, path: impl AsRef<Path>) -> Result<M, WeightsError> {
    load_adapted(module, path.as_ref(), KeyRemapper::new(), IdentityAdapter)
}

/// Loads a file of another layout: `names` changes its names, `layouts` its tensors.
pub(crate) fn load_adapted<M: Module>(
    mut module: M,
    path: &Path,
    names: KeyRemapper,
    layouts: impl ModuleAdapter + Clone + 'static,
) -> Result<M, WeightsError> {
    let store = SafetensorsStore::from_file(path).remap(names).with_from_adapter(layouts.clone());
    // The result is checked below, where the error can name the fault.
    // The variant of an enum is no part of a name, as a file does not have it either.
    let mut store = store.allow_partial(true).validate(false).skip_enum_variants(true);
    let failed = |error| match error {
        SafetensorsStoreError::Io(source) => WeightsError::Read { path: path.to_owned(), source },
        SafetensorsStoreError::Safetensors(error) => format(path, error.to_string()),
        other => format(path, other.to_string()),
    };
    let tensors = store.get_all_tensors().map_err(failed)?;
    let mut floats = tensors.values().map(|tensor| tensor.dtype).filter(DType::is_float);
    let first = floats.next();
    if floats.any(|dtype| Some(dtype) != first) {
        store = store.with_from_adapter(layouts.chain(FloatCastAdapter::to(DType::F32)));
    }
    let result = store.apply_to(&mut module).map_err(failed)?;
    judge(path, result).map(|()| module)
}

fn format(path: &Path, reason: String) -> WeightsError {
    WeightsError::Format { path: path.to_owned(), reason }
}

/// Returns the first fault of a load, if any.
fn judge(path: &Path, result: ApplyResult) -> Result<(), WeightsError> {
    let mismatch = |tensor, found, expected| {
        Err(WeightsError::Mismatch { path: path.to_owned(), tensor, found, expected })
    };
    match result.errors.into_iter().next() {
        None => {}
        Some(ApplyError::ShapeMismatch { path: tensor, expected, found }) => {
            return mismatch(tensor, found.to_string(), expected.to_string());
        }
        Some(ApplyError::DTypeMismatch { path: tensor, expected, found }) => {
            return mismatch(tensor, format!("{found:?}"), format!("{expected:?}"));
        }
        Some(
            ApplyError::AdapterError { path: tensor, message }
            | ApplyError::LoadError { path: tensor, message },
        ) => return Err(format(path, format!("{tensor}: {message}"))),
    }
    if let Some((tensor, _)) = result.missing.first() {
        let (path, tensor, more) = (path.to_owned(), tensor.clone(), result.missing.len() - 1);
        return Err(WeightsError::Missing { path, tensor, more });
    }
    if let Some(tensor) = result.unused.first() {
        let (path, tensor, more) = (path.to_owned(), tensor.clone(), result.unused.len() - 1);
        return Err(WeightsError::Unknown { path, tensor, more });
    }
    Ok(())
}
