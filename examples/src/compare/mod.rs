//! Networks of Python beside ours: the outputs that are recorded in a `reference.safetensors`.

mod networks;
mod pipelines;
mod reference;
mod tensors;
mod tokenizers;
mod weight_files;

use std::error::Error;
use std::path::{Path, PathBuf};

use ddm_core::prelude::Device;
use serde_json::Value;
use thiserror::Error;

pub use reference::{Line, Reference};

/// A directory that cannot be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// There is no network that we know in it.
    #[error("unsupported: {}", what)]
    Unsupported {
        /// What was found.
        what: String,
    },
    /// A file cannot be read, or is not what its name says.
    #[error(transparent)]
    Read(#[from] Box<dyn Error>),
}

/// Returns the directories with recorded outputs in `path`: itself, or else those in it.
///
/// # Errors
///
/// Returns an error if `path` cannot be read.
pub fn directories(path: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    if path.join("reference.safetensors").exists() || tokenizers::are_in(path) {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

/// Runs the network of a directory on the recorded inputs, and returns its outputs' errors.
///
/// # Errors
///
/// Returns [`CompareError::Unsupported`] for a directory without a network that we know, and
/// [`CompareError::Read`] if a file cannot be read or does not fit the network.
pub fn compare(
    directory: &Path,
    device: &Device,
    tolerance: f64,
) -> Result<Vec<Line>, CompareError> {
    if tokenizers::are_in(directory) {
        return Ok(tokenizers::run(directory)?);
    }
    if directory.join("model_index.json").exists() {
        return pipelines::run(directory, device, tolerance);
    }
    let path = directory.join("reference.safetensors");
    let with_pipeline = Reference::open(&path, device).ok();
    if with_pipeline.is_some_and(|reference| reference.metadata("pipeline").is_some()) {
        return Ok(weight_files::run(directory, device)?);
    }
    if directory.join("tensors.gguf").exists() {
        let mut reference = Reference::open(&path, device)?;
        tensors::run(directory, &mut reference)?;
        return Ok(reference.into_lines());
    }
    let class = class(directory)?;
    let mut reference = Reference::open(&path, device)?;
    networks::run(&class, directory, &mut reference)?;
    Ok(reference.into_lines())
}

/// Returns the class that the config of a directory names.
fn class(directory: &Path) -> Result<String, CompareError> {
    let path = directory.join("config.json");
    if !path.exists() {
        return Err(CompareError::Unsupported { what: "no config.json".to_owned() });
    }
    let json = std::fs::read_to_string(path).map_err(|error| CompareError::Read(error.into()))?;
    let config: Value =
        serde_json::from_str(&json).map_err(|error| CompareError::Read(error.into()))?;
    let class = config["_class_name"].as_str().or_else(|| config["architectures"][0].as_str());
    let unnamed = || CompareError::Unsupported { what: "a config without a class".to_owned() };
    class.map(str::to_owned).ok_or_else(unnamed)
}
