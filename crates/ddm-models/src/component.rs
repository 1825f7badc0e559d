//! Networks from and to the directories of diffusers and transformers.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use ddm_weights::{LoadOptions, NewFile, Tensors, Variant, WeightsError, load, save_shards};

use crate::DiffusersError;
use crate::blocks::OLD_ATTENTION_NAMES;

/// A network that is loaded from a directory of diffusers or transformers.
///
/// `from_diffusers` and `from_transformers` are [`load_component`](Self::load_component) with the options
/// that change nothing.
pub trait Component: Module {
    /// Loads the network from its directory, which has a `config.json` and weights: safetensors or
    /// PyTorch's `.bin`, in one file or in shards; those of the variant `fp16` where there are no others.
    ///
    /// Tensors are read one by one, and [cast](LoadOptions::with_float) as they are read: so the network in
    /// the requested type and one tensor more are in memory, whatever the type of the file.
    ///
    /// ```no_run
    /// use burn::tensor::{DType, Device};
    /// use ddm_models::{Component, UNet2dCondition};
    /// use ddm_weights::LoadOptions;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let options = LoadOptions::new().with_float(DType::F16).finite();
    /// let folder = "stable-diffusion-v1-5/unet".as_ref();
    /// let unet = UNet2dCondition::load_component(folder, &options, &Device::flex())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that the network does not cover,
    /// a tensor is missing, unknown or of another shape, or the options do not allow what is there.
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError>;
}

/// Loads a network.
///
/// `init` makes it from the config, `rename` gives the names of its parameters for those of the file, and
/// tensors that the network lacks are left out where a pattern of `ignored` fits their names.
pub(crate) fn component<M: Module>(
    directory: &Path,
    options: &LoadOptions,
    init: impl FnOnce(&str) -> Result<M, DiffusersError>,
    rename: impl Fn(&str) -> String,
    ignored: &[&str],
) -> Result<M, DiffusersError> {
    let path = directory.join("config.json");
    let json = fs::read_to_string(&path).map_err(|source| DiffusersError::Read { path, source })?;
    let network = init(&json)?;
    let file = open(directory)?.dequantized()?;
    // Of a tensor that is there by its current name and by another, the first is taken.
    let tensors = file.rename(|name| {
        let new = rename(name);
        (new == name || !file.contains(&new)).then_some(new)
    })?;
    Ok(load(network, &tensors, &options.clone().ignoring(ignored.iter().copied()))?)
}

/// Saves a network as such a directory: its config and its weights, each under another name first.
pub(crate) fn save_component<M: Module>(
    network: &M,
    json: &str,
    directory: &Path,
) -> Result<(), DiffusersError> {
    fs::create_dir_all(directory)
        .map_err(|source| DiffusersError::Write { path: directory.to_owned(), source })?;
    // In one file. It also removes shards of an earlier save, which diffusers would prefer.
    save_shards(network, directory, "diffusion_pytorch_model", u64::MAX)?;
    Ok(NewFile::write(directory.join("config.json"), |path| fs::write(path, json))?.commit()?)
}

/// Opens the plain weights of a directory, or those of the variant `fp16`.
fn open(directory: &Path) -> Result<Tensors, WeightsError> {
    match Tensors::component(directory, &Variant::PLAIN) {
        Err(plain @ WeightsError::NoWeights { .. }) => {
            Tensors::component(directory, &Variant::named("fp16")?).map_err(|_| plain)
        }
        opened => opened,
    }
}

/// Returns today's name of a parameter of diffusers.
pub(crate) fn current_name(name: &str) -> String {
    for (old, new) in OLD_ATTENTION_NAMES {
        for end in ["weight", "bias"] {
            if let Some(start) = name.strip_suffix(&format!(".{old}.{end}")) {
                return format!("{start}.{new}.{end}");
            }
        }
    }
    name.to_owned()
}
