//! Tensors of a GGUF file, dequantized.

use std::error::Error;
use std::path::Path;

use ddm_core::burn::tensor::DType;
use ddm_core::weights::{Tensors, WeightsError};

use super::Reference;

/// Compares each tensor of `tensors.gguf` that the reference has; those of a type that cannot be read are
/// wrong.
pub(super) fn run(directory: &Path, reference: &mut Reference) -> Result<(), Box<dyn Error>> {
    let file = Tensors::open(directory.join("tensors.gguf"))?;
    for (name, view) in file.iter().filter(|(name, _)| reference.has(name)).collect::<Vec<_>>() {
        match view.read_as(DType::F32) {
            Ok(found) => reference.check_flat(name, &found.try_into_vec::<f32>()?)?,
            Err(WeightsError::Type { .. }) => reference.unreadable(name),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
