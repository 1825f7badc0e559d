//! A trained LoRA into a file.

use std::io;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use ddm_weights::{WeightsError, save_tensors};
use serde_json::json;

use super::Adapted;
use crate::lora::settings::METADATA;
use crate::lora::{LoraError, Part};

impl<M: Module> Adapted<M> {
    /// Saves the LoRA as diffusers does: `unet.….lora_A.weight`, `unet.….lora_B.weight`, in f32, and r, α
    /// and the layers as settings of PEFT in the metadata.
    ///
    /// diffusers' `load_lora_weights` reads it, and [`Lora::open`](crate::lora::Lora::open). `part` is the
    /// network's place in the pipeline. Programs that do not know these settings take α = r.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use ddm_models::UNetConfig;
    /// use ddm_models::lora::{Lora, LoraConfig, Part};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("pytorch_lora_weights.safetensors");
    /// let unet = UNetConfig::new(1, 1).with_channels(vec![8, 16]).with_norm_groups(4);
    /// let unet = unet.with_head_size(Some(8)).init(&Device::flex())?;
    /// let adapted = LoraConfig::new(2, ["conv1"]).with_alpha(4.0).adapt(unet)?;
    /// adapted.save(Part::UNet, &path)?;
    /// let lora = Lora::open(&path)?;
    /// assert_eq!(lora.layers(Part::UNet)[0].scale(), 2.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`LoraError::Weights`] if the file cannot be written, a number is not finite, or one cannot
    /// be read from the device.
    pub fn save(&self, part: Part, path: impl AsRef<Path>) -> Result<(), LoraError> {
        let path = path.as_ref();
        let mut tensors = Vec::new();
        for (target, adapter) in self.targets.iter().zip(&self.adapters) {
            let (down, up) = target.factors(adapter);
            let (inner, kernel) = (&target.shape[1..], vec![1; target.shape.len() - 2]);
            let shapes = [
                [&[self.config.rank], inner].concat(),
                [&[target.shape[0], self.config.rank], kernel.as_slice()].concat(),
            ];
            for ((end, matrix), shape) in [("A", down), ("B", up)].into_iter().zip(shapes) {
                let name = format!("{part}.{}.lora_{end}.weight", target.path);
                let data = TensorData::new(numbers(matrix, &name, path)?, shape);
                tensors.push((name, data));
            }
        }
        let alpha = self.config.alpha;
        // PEFT's α is an integer, most often.
        let whole = alpha.fract() == 0.0 && alpha <= 1e9;
        let settings = json!({
            (format!("{part}.r")): self.config.rank,
            (format!("{part}.lora_alpha")): if whole { json!(alpha as u64) } else { json!(alpha) },
            (format!("{part}.target_modules")): self.layers().collect::<Vec<_>>(),
        });
        Ok(save_tensors(tensors, &[(METADATA, &format!("{settings:#}"))], path)?)
    }
}

/// Reads a matrix, whose numbers must be finite.
fn numbers(matrix: Tensor<2>, tensor: &str, path: &Path) -> Result<Vec<f32>, LoraError> {
    let data = matrix.try_into_data().map_err(|error| {
        let source = io::Error::other(format!("{tensor} cannot be read: {error}"));
        WeightsError::Write { path: path.to_owned(), source }
    })?;
    let numbers: Vec<f32> = data.iter().collect();
    if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
        let (value, tensor) = (f64::from(numbers[index]), tensor.to_owned());
        return Err(WeightsError::NotFinite { path: path.to_owned(), tensor, index, value }.into());
    }
    Ok(numbers)
}
