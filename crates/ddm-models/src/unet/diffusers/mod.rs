//! A `UNet2DModel` of diffusers as a U-Net: its weights, and the errors.

mod config;

use std::io;
use std::path::{Path, PathBuf};

use burn::store::{KeyRemapper, ModuleAdapter, ModuleContext, PyTorchToBurnAdapter, bridge};
use burn::tensor::{Device, TensorData, shape};
use thiserror::Error;

use super::{UNet, UNetConfig};
use crate::blocks::OLD_ATTENTION_NAMES;
use crate::weights::load_adapted;
use crate::{NetworkConfigError, WeightsError};

/// A directory of diffusers that cannot be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiffusersError {
    /// A config that could not be read; often it does not exist.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A config that is not a JSON object.
    #[error("the model config is not a JSON object: {reason}")]
    NotJson {
        /// The parser's message.
        reason: String,
    },
    /// A setting that the network does not have, or not with this value.
    #[error("the model config has `{setting}` = {found}, but it must be {allowed}")]
    Setting {
        /// The setting.
        setting: String,
        /// Its value, as JSON.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// Settings that no network can have.
    #[error(transparent)]
    Network(#[from] NetworkConfigError),
    /// Invalid weights. They are called by their names in the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights that cannot be read or do not fit the network, by their names in the files.
    #[error(transparent)]
    Files(#[from] ddm_weights::WeightsError),
}

impl UNet {
    /// Loads a `UNet2DModel` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`. The predictions are those of diffusers.
    ///
    /// A model with classes gets one more, the null class, whose class vector is 0. (Of a model that
    /// was trained with a null class among its own, use that label.) A file of one float type gives
    /// a network of that type.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`UNetConfig::from_diffusers`] does not cover, or a tensor is missing, unknown or of another
    /// shape.
    ///
    /// ```no_run
    /// use burn::tensor::Device;
    /// use ddm_models::UNet;
    /// let network = UNet::from_diffusers("ddpm-cifar10-32/unet", &Device::flex())?;
    /// # Ok::<(), ddm_models::DiffusersError>(())
    /// ```
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let path = directory.as_ref().join("config.json");
        let json = std::fs::read_to_string(&path)
            .map_err(|source| DiffusersError::Read { path, source })?;
        let network = UNetConfig::from_diffusers(&json)?.init(device)?;
        let path = directory.as_ref().join("diffusion_pytorch_model.safetensors");
        Ok(load_adapted(network, &path, names(), PyTorchToBurnAdapter.chain(NullClass))?)
    }
}

/// Returns the map from diffusers' names to ours.
///
/// The attention of old checkpoints has other names. In `down_blocks.1.resnets.0`, 1 is the level and
/// 0 the block.
fn names() -> KeyRemapper {
    let patterns = [
        (r"^time_embedding\.linear_1\.", "conditioning.first."),
        (r"^time_embedding\.linear_2\.", "conditioning.second."),
        (r"^class_embedding\.", "conditioning.class."),
        (r"^conv_in\.", "input."),
        (r"^conv_norm_out\.", "norm."),
        (r"^conv_out\.", "output."),
        (r"^(down|up)_blocks\.(\d+)\.(down|up)samplers\.0\.", "$1.$2.${3}sample."),
        (r"^(down|up)_blocks\.(\d+)\.resnets\.(\d+)\.", "$1.$2.stages.$3.residual."),
        (r"^(down|up)_blocks\.(\d+)\.attentions\.(\d+)\.", "$1.$2.stages.$3.attention."),
        (r"^mid_block\.resnets\.0\.", "middle.residual."),
        (r"^mid_block\.resnets\.1\.", "middle_end."),
        (r"^mid_block\.attentions\.0\.", "middle.attention."),
    ];
    let patterns = patterns.into_iter().map(|(old, new)| (old.to_owned(), new.to_owned()));
    let attention = OLD_ATTENTION_NAMES
        .map(|(old, new)| (format!(r"\.{old}\.(weight|bias)$"), format!(".{new}.$1")));
    KeyRemapper::from_patterns(patterns.chain(attention).collect()).expect("the patterns are valid")
}

/// Adds the null class to the class vectors of a file: a row of zeros.
#[derive(Clone, Debug)]
struct NullClass;

impl ModuleAdapter for NullClass {
    fn adapt(&self, tensor: Stored, at: ModuleContext<'_>) -> Stored {
        let is_table = at.module_type() == Some("Struct:Embedding") && tensor.shape.len() == 2;
        if !is_table {
            return tensor;
        }
        let (name, dtype) = (tensor.name.clone(), tensor.dtype);
        let [rows, size] = [tensor.shape[0] + 1, tensor.shape[1]];
        bridge::map_data(tensor, name, dtype, shape![rows, size], move |data| {
            let mut bytes = data.as_bytes().to_vec();
            bytes.resize(rows * size * dtype.size(), 0); // zero bytes are 0 in every float type
            TensorData::from_bytes_vec(bytes, [rows, size], dtype)
        })
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}

/// A tensor on its way from a file into a module.
type Stored = burn::store::burn_pack::Tensor;
