//! What can be wrong with a file.

use thiserror::Error;

/// A fault of a file: it is incomplete, or says of itself what is not so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A file of none of the formats.
    #[error("neither safetensors, nor GGUF, nor of PyTorch{hint}")]
    Format {
        /// What it is instead, if that is known.
        hint: &'static str,
    },
    /// A file that ends too early.
    #[error("incomplete: it has {length} bytes, and {needed} are needed")]
    Truncated {
        /// Its length.
        length: u64,
        /// The length that it says it has, at least.
        needed: u64,
    },
    /// A header that is longer than any that is written.
    #[error("its header says to be {length} bytes long; at most {limit} are read")]
    Header {
        /// The length.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// JSON that does not parse, or lacks what it must have.
    #[error("its JSON is not valid: {0}")]
    Json(String),
    /// A tensor whose data lie outside of the file.
    #[error("the data of {tensor} are at bytes {begin} to {end}, but the data end at {length}")]
    Outside {
        /// The tensor.
        tensor: String,
        /// Where its data begin.
        begin: u64,
        /// Where they end.
        end: u64,
        /// Where the data of all end.
        length: u64,
    },
    /// Two tensors with data in common.
    #[error("the data of {first} and of {second} overlap")]
    Overlap {
        /// A tensor.
        first: String,
        /// The other one.
        second: String,
    },
    /// Data that belong to no tensor.
    #[error("the bytes {begin} to {end} of the data belong to no tensor")]
    Gap {
        /// Where they begin.
        begin: u64,
        /// Where they end.
        end: u64,
    },
    /// A tensor whose size is not that of its shape.
    #[error("{tensor} of shape {shape:?} in {stored} cannot have {bytes} bytes of data")]
    Size {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<u64>,
        /// Its type.
        stored: String,
        /// The size of its data.
        bytes: u64,
    },
    /// A shape with more elements than there can be, or of more axes than are read.
    #[error("{tensor} has the impossible shape {shape:?}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// The shape.
        shape: Vec<u64>,
    },
    /// A type that the format does not have.
    #[error("{tensor} has the unknown type {found}")]
    Type {
        /// The tensor.
        tensor: String,
        /// The type.
        found: String,
    },
    /// A name that is there twice.
    #[error("{0} is there twice")]
    Twice(String),
    /// A version of the format that is not read.
    #[error("version {found} of the format; {allowed} can be read")]
    Version {
        /// The version.
        found: String,
        /// Those that can be read.
        allowed: &'static str,
    },
    /// A zip archive that is not one of PyTorch.
    #[error("not an archive of PyTorch: {0}")]
    Archive(String),
    /// A pickle that is not that of tensors.
    #[error("its pickle is not that of a state dict, at byte {at}: {reason}")]
    Pickle {
        /// Where.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// Metadata that are not valid.
    #[error("its metadata are not valid: {0}")]
    Metadata(String),
    /// An index that names a shard outside of its directory.
    #[error("it names the shard {0:?}, which is no file beside it")]
    Shard(String),
    /// An index and a shard of it that differ.
    #[error("{tensor} is in {shard} by the index, but not in that file")]
    Absent {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
    },
    /// A tensor of a shard that the index does not have.
    #[error("{shard} has the tensor {tensor}, which the index does not have")]
    Unlisted {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
    },
}
