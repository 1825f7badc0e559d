//! A module into several files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, DType, Int, Shape, Tensor};
use serde_json::json;

use crate::names::Place;
use crate::new_file::failed;
use crate::save::written;
use crate::{NewFile, WeightsError};

/// Saves a module's weights as [`save`](crate::save) does, in files of at most `largest` bytes of numbers
/// and an index, `STEM-00001-of-00003.safetensors` … and `STEM.safetensors.index.json`; in one file
/// `STEM.safetensors` if they fit.
///
/// The stem is `diffusion_pytorch_model` for diffusers and `model` for transformers. A tensor larger than
/// `largest` has a file of its own. All files are first written under other names, then renamed, the index
/// last; what is left of an earlier save under this stem is then removed.
///
/// ```
/// use burn::{nn::LinearConfig, tensor::Device};
/// use ddm_weights::{LoadOptions, Tensors, Variant, load, save_shards};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let linear = LinearConfig::new(64, 64).init(&Device::flex());
/// save_shards(&linear, directory.path(), "model", 10_000)?;
/// let tensors = Tensors::component(directory.path(), &Variant::PLAIN)?;
/// let linear = load(linear, &tensors, &LoadOptions::new())?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns [`WeightsError::Write`] if a file cannot be written, for example to a missing directory or a
/// full disk. An earlier save is then whole, unless it was a rename that failed.
pub fn save_shards<M: Module>(
    module: &M,
    directory: impl AsRef<Path>,
    stem: &str,
    largest: u64,
) -> Result<(), WeightsError> {
    let directory = directory.as_ref();
    let mut sizes = Sizes::default();
    module.visit(&mut sizes);
    let total: u64 = sizes.found.iter().map(|(_, bytes)| bytes).sum();
    let shards = split(sizes.found, largest);
    let name = |number: usize| match shards.len() {
        0 | 1 => format!("{stem}.safetensors"),
        count => format!("{stem}-{number:05}-of-{count:05}.safetensors"),
    };
    let (mut files, mut paths, mut map) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (keys, number) in shards.iter().zip(1..) {
        map.extend(keys.iter().map(|key| (key.clone(), name(number))));
        paths.push(directory.join(name(number)));
        files.push(written(module, &directory.join(name(number)), Some(keys))?);
    }
    if shards.len() > 1 {
        let json = json!({ "metadata": { "total_size": total }, "weight_map": map });
        let index = directory.join(format!("{stem}.safetensors.index.json"));
        paths.push(index.clone());
        files.push(NewFile::write(index, |beside| fs::write(beside, format!("{json:#}\n")))?);
    }
    NewFile::commit_all(files)?;
    remove_others(directory, stem, &paths)
}

/// Removes what an earlier save under this stem has left: a loader would find it first, or its index.
fn remove_others(directory: &Path, stem: &str, written: &[PathBuf]) -> Result<(), WeightsError> {
    let entries = fs::read_dir(directory).map_err(|error| failed(directory, error))?;
    for entry in entries {
        let path = entry.map_err(|error| failed(directory, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let of_stem = name.strip_prefix(stem).is_some_and(|rest| {
            is_shard(rest) || rest == ".safetensors" || rest == ".safetensors.index.json"
        });
        if of_stem && !written.contains(&path) {
            fs::remove_file(&path).map_err(|error| failed(&path, error))?;
        }
    }
    Ok(())
}

/// Whether a name is `-00001-of-00003.safetensors` after its stem. Those of other stems may begin alike.
fn is_shard(rest: &str) -> bool {
    let numbers = rest.strip_prefix('-').and_then(|rest| rest.strip_suffix(".safetensors"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers
        .and_then(|numbers| numbers.split_once("-of-"))
        .is_some_and(|(number, count)| digits(number) && digits(count))
}

/// Splits tensors, in their order, into files of at most `largest` bytes.
fn split(tensors: Vec<(String, u64)>, largest: u64) -> Vec<Vec<String>> {
    let mut shards: Vec<Vec<String>> = Vec::new();
    let mut size = 0;
    for (key, bytes) in tensors {
        match shards.last_mut() {
            Some(shard) if size + bytes <= largest => shard.push(key),
            _ => {
                shards.push(vec![key]);
                size = 0;
            }
        }
        size += bytes;
    }
    shards
}

/// The names and the bytes of a module's tensors.
#[derive(Default)]
struct Sizes {
    place: Place,
    found: Vec<(String, u64)>,
}

impl Sizes {
    fn add(&mut self, shape: &Shape, dtype: DType) {
        let bytes = shape.num_elements() as u64 * dtype.size() as u64;
        self.found.push((self.place.key(), bytes));
    }
}

impl ModuleVisitor for Sizes {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.place.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(&param.lazy_shape(), param.val().dtype());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(&param.lazy_shape(), param.val().dtype());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(&param.lazy_shape(), param.val().dtype());
    }
}
