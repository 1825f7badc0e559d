//! Weights in files.

use std::path::Path;

use burn::module::Module;
use ddm_weights::{LoadOptions, Tensors, WeightsError, load};

/// Loads the weights of a file into a module: of safetensors, PyTorch or GGUF, in PyTorch's names and
/// layouts, as [`save_weights`](crate::save_weights) writes them. The file must have exactly the tensors
/// of the module.
///
/// A file of one float type gives a network of that type: f16 gives f16. A file of several float
/// types gives a network in f32, since a network computes in one type.
///
/// # Errors
///
/// Returns an error if the file is missing or incomplete, or a tensor is missing, unknown, or of
/// another shape. The module is then dropped, never partly loaded.
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
pub fn load_weights<M: Module>(module: M, path: impl AsRef<Path>) -> Result<M, WeightsError> {
    load(module, &Tensors::open(path)?.dequantized()?, &LoadOptions::new())
}
