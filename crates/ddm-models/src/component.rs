//! Networks from and to the directories of diffusers and transformers.

use std::path::Path;
use std::{fs, io};

use burn::module::Module;
use ddm_weights::{LoadOptions, Tensors, Variant, WeightsError, load, save_shards};

use crate::DiffusersError;
use crate::blocks::OLD_ATTENTION_NAMES;

/// Loads a network from a directory with a `config.json` and weights: safetensors or PyTorch's `.bin`,
/// in one file or in shards; those of the variant `fp16` where there are no others.
///
/// `init` makes the network from the config, `rename` gives the names of its parameters for those of the
/// file, and tensors that the network lacks are left out where a pattern of `ignored` fits their names.
pub(crate) fn component<M: Module>(
    directory: &Path,
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
    Ok(load(network, &tensors, &LoadOptions::new().ignoring(ignored.iter().copied()))?)
}

/// Saves a network as such a directory: its config and its weights, each under another name first.
pub(crate) fn save_component<M: Module>(
    network: &M,
    json: &str,
    directory: &Path,
) -> Result<(), DiffusersError> {
    let written = |path: &Path, result: io::Result<()>| {
        result.map_err(|source| DiffusersError::Write { path: path.to_owned(), source })
    };
    written(directory, fs::create_dir_all(directory))?;
    // In one file. It also removes shards of an earlier save, which diffusers would prefer.
    save_shards(network, directory, "diffusion_pytorch_model", u64::MAX)?;
    let (path, beside) = (directory.join("config.json"), directory.join("config.json.new"));
    written(&path, fs::write(&beside, json).and_then(|()| fs::rename(&beside, &path)))
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
