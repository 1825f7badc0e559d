//! What can go wrong with a LoRA.

use std::path::PathBuf;

use ddm_schedule::Invalid;
use ddm_weights::{Misfit, WeightsError};
use thiserror::Error;

use super::Part;

/// A LoRA that cannot be read or trained, or does not fit a network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoraError {
    /// A file that cannot be read; weights that are NaN; or a sum that its type cannot hold.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A file without a LoRA.
    #[error(
        "{} holds no LoRA: none of its {tensors} tensors is called as in PEFT (…lora_A.weight), \
         kohya (lora_unet_….lora_down.weight) or diffusers (…lora.down.weight){}", path.display(),
        example.as_deref().map(|name| format!("; one is {name}")).unwrap_or_default())]
    None {
        /// The file.
        path: PathBuf,
        /// The number of its tensors.
        tensors: usize,
        /// One of them.
        example: Option<String>,
    },
    /// An adapter of another kind.
    #[error(
        "{} holds {kind}: {tensor}. Only LoRA is computed here, for linear layers and convolutions; \
         merge it into the network in Python, and save that", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: &'static str,
        /// A tensor, or setting, that says so.
        tensor: String,
    },
    /// Tensors beside those of a LoRA.
    #[error("{} has {} beside its LoRA: {}", path.display(), count(tensors, "unknown tensor"),
        few(tensors))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Their names.
        tensors: Vec<String>,
    },
    /// Layers that lack one of their two matrices.
    #[error("{} has {} without both A (down) and B (up): {}", path.display(),
        count(layers, "layer"), few(layers))]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The layers, as the file calls them.
        layers: Vec<String>,
    },
    /// A layer that is there twice, in other names or for several adapters.
    #[error("{} has a layer twice, as {first} and as {second}: use files of one adapter each", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// A name of it.
        first: String,
        /// The other one.
        second: String,
    },
    /// Matrices that cannot be multiplied.
    #[error(
        "{}: {layer} has A {down:?} and B {up:?}; A must be [rank, in, …] and B [out, rank, …], of the \
         same rank above 0{}", path.display(),
        mid.as_ref().map(|mid| format!(", and the middle one, {mid:?}, [rank, rank, …]")).unwrap_or_default())]
    Ranks {
        /// The file.
        path: PathBuf,
        /// The layer, as the file calls it.
        layer: String,
        /// The shape of A.
        down: Vec<usize>,
        /// The shape of B.
        up: Vec<usize>,
        /// The shape of the matrix between, if there is one.
        mid: Option<Vec<usize>>,
    },
    /// An α that is no finite number.
    #[error("{}: the alpha of {layer} is {found}, but must be one finite number", path.display())]
    Alpha {
        /// The file.
        path: PathBuf,
        /// The layer, as the file calls it.
        layer: String,
        /// The value, or the shape.
        found: String,
    },
    /// Settings of PEFT that cannot be used.
    #[error("{}: the settings of the LoRA {reason}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A part of which no LoRA has layers.
    #[error("{path} has no layers of {part}, but of {}", parts(found))]
    NoPart {
        /// The file, or the files.
        path: String,
        /// The requested part.
        part: Part,
        /// The parts that there are.
        found: Vec<Part>,
    },
    /// Layers that do not fit the network. It is perhaps for another model.
    #[error("{} does not fit this {part}, and is perhaps for another model: {misfit}", path.display())]
    Misfit {
        /// The file.
        path: PathBuf,
        /// The part.
        part: Part,
        /// All such layers, as the file calls them: those that the network lacks are `unused`.
        misfit: Misfit,
    },
    /// A setting of a LoRA to train that is out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A target that is no layer of the network.
    #[error(
        "no layer of this network is called {target:?}, or ends so; the names of its linear layers and \
         convolutions end in {}", layers.join(", "))]
    Target {
        /// The target.
        target: String,
        /// How the paths of the layers end.
        layers: Vec<String>,
    },
    /// A rank that is too high for a layer.
    #[error(
        "rank {rank} is too high for {layer}: no update of its weight has a higher rank than {most}; \
         choose a lower rank, or leave this layer out"
    )]
    Rank {
        /// The path of the layer.
        layer: String,
        /// The rank.
        rank: usize,
        /// The highest rank of a matrix of this shape.
        most: usize,
    },
    /// A weight that is no finite number.
    #[error("the weight of a LoRA is {0}, but must be a finite number")]
    Weight(f64),
}

/// The most names that a message shows.
const SHOWN: usize = 8;

fn few(names: &[String]) -> String {
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { shown + ", …" } else { shown }
}

fn count(names: &[String], what: &str) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{} {what}{plural}", names.len())
}

fn parts(found: &[Part]) -> String {
    let names: Vec<_> = found.iter().map(|part| part.name()).collect();
    names.join(", ")
}
