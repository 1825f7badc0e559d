//! What can go wrong with weights.

use std::io;
use std::path::PathBuf;

use burn::tensor::DType;
use thiserror::Error;

use crate::{Fault, Misfit, ScaleFault, Stored};

/// A failure to read weights, to put them into a module, or to save them.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file that could not be read; often it does not exist.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file that could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error, or that of what writes the file.
        source: io::Error,
    },
    /// A directory without weights under any of the names that they have.
    #[error("{} has no weights of {variant}: it holds {}; looked for {}", directory.display(),
        listed(found), looked_for.join(", "))]
    NoWeights {
        /// The directory.
        directory: PathBuf,
        /// The requested variant.
        variant: String,
        /// The names that were looked for.
        looked_for: Vec<String>,
        /// The files of weights, or indices of such, that are there.
        found: Vec<String>,
    },
    /// A variant that cannot be part of a file's name.
    #[error(
        "the variant {0:?} is no part of a file's name; allowed are letters, digits, . _ and -"
    )]
    Variant(String),
    /// A file that is not what it says it is.
    #[error("{}: {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
    /// A pickle that asks for something that is no part of a state dict. Nothing of it was run.
    #[error(
        "{} asks for {name}, which is refused: a pickle may name tensors and dictionaries only \
         (in Python, load it, and save its state dict as safetensors)", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it asks for, with its module.
        name: String,
    },
    /// Two files that have the same tensor.
    #[error("the tensor {tensor} is in {} and in {}", first.display(), second.display())]
    Duplicate {
        /// The tensor.
        tensor: String,
        /// A file that has it.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// A name that no tensor has.
    #[error("{} has no tensor {tensor}", path.display())]
    NoTensor {
        /// The file or directory.
        path: PathBuf,
        /// The name.
        tensor: String,
    },
    /// Two tensors that were given the same name.
    #[error("{first} and {second} were both renamed to {name}")]
    Renamed {
        /// A tensor.
        first: String,
        /// The other one.
        second: String,
        /// The new name of both.
        name: String,
    },
    /// A type of numbers that cannot be read.
    #[error("{} has a tensor in {stored}, which cannot be read; readable are {}", path.display(),
        Stored::readable())]
    Type {
        /// The file.
        path: PathBuf,
        /// The type.
        stored: Stored,
    },
    /// A cast that would lose what the numbers are.
    #[error(
        "{stored} cannot be read as {wanted:?}: floats and integers can be read as floats, all \
        others as what they are"
    )]
    Cast {
        /// The type in the file.
        stored: Stored,
        /// The requested type.
        wanted: DType,
    },
    /// Parts, axes or shapes that do not fit a tensor.
    #[error("a tensor of shape {shape:?} {reason}")]
    View {
        /// The tensor's shape.
        shape: Vec<usize>,
        /// What does not fit.
        reason: String,
    },
    /// A tensor that does not fit into memory.
    #[error("no memory for a tensor of {bytes} bytes")]
    Memory {
        /// Its size.
        bytes: usize,
    },
    /// A quantised weight that cannot be multiplied by its scale.
    #[error("{}: {tensor} {fault}", path.display())]
    Scale {
        /// The file or directory.
        path: PathBuf,
        /// The tensor: a scale, a weight, or what names a format.
        tensor: String,
        /// What is wrong.
        fault: ScaleFault,
    },
    /// Tensors that a module and a file do not have in common.
    #[error("{} does not fit the network: {misfit}", path.display())]
    Misfit {
        /// The file or directory.
        path: PathBuf,
        /// All such tensors.
        misfit: Misfit,
    },
    /// A weight that is NaN or infinite.
    #[error("{}: element {index} of {tensor} is {value}, not a finite number", path.display())]
    NotFinite {
        /// The file or directory.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The element, counted row by row.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// A sum that is NaN or infinite, or too large for the type of its parameter.
    #[error(
        "what was added to {tensor} makes it NaN, infinite or too large for {dtype:?}: add less, or \
         cast the network to f32"
    )]
    Sum {
        /// The parameter.
        tensor: String,
        /// Its type.
        dtype: DType,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
}
