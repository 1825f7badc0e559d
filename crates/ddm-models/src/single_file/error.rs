//! What can be wrong with a single file.

use std::path::PathBuf;

use thiserror::Error;

use super::{Layout, Part};
use crate::NetworkConfigError;

/// The most names that a message shows.
const SHOWN: usize = 8;

/// A single file that cannot be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SingleFileError {
    /// A file of weights in none of the layouts.
    #[error("{} is in no layout that is known{hint}; it has {}; known are {}", path.display(),
        shown(names), Layout::known())]
    Unrecognized {
        /// The file.
        path: PathBuf,
        /// What it is instead, if that is known.
        hint: String,
        /// Its tensors.
        names: Vec<String>,
    },
    /// Tensors that belong to no part of a checkpoint.
    #[error("{} is {layout}, and has tensors that belong to no part of it: {}; if they are not \
        needed, leave them out by `Tensors::rename`, and take `SingleFile::from_tensors`",
        path.display(), shown(names))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Its layout.
        layout: Layout,
        /// The tensors.
        names: Vec<String>,
    },
    /// A part that a file does not have.
    #[error("{} has no {part}: it is {layout}, and has {}", path.display(), listed(has))]
    NoPart {
        /// The file.
        path: PathBuf,
        /// Its layout.
        layout: Layout,
        /// The part.
        part: Part,
        /// The parts that it has.
        has: Vec<Part>,
    },
    /// A file whose shapes do not give the config of a part.
    #[error("the config of the {part} cannot be told from {}: {reason}; give one", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The part.
        part: Part,
        /// The reason.
        reason: String,
    },
    /// Settings that no network can have.
    #[error(transparent)]
    Network(#[from] NetworkConfigError),
    /// A file that cannot be read, or weights that do not fit the network. They are called by the names
    /// that they have in the network, and those that have no place by the names in the file.
    #[error(transparent)]
    Weights(#[from] ddm_weights::WeightsError),
}

fn shown(names: &[String]) -> String {
    let more = if names.len() > SHOWN { ", …" } else { "" };
    let count = names.len();
    if count == 0 {
        return "no tensors".to_owned();
    }
    format!("{count} such as {}{more}", names[..count.min(SHOWN)].join(", "))
}

fn listed(parts: &[Part]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| format!("the {part}")).collect();
    parts.join(", ")
}
