//! LoRA: small updates of a network's weights, read from the files that trainers write, and trained.
//!
//! A layer of weight W becomes W + w · α / r · B A, with B `[out, r]` and A `[r, in]`; for a convolution,
//! A is one with r channels, and B one of 1×1. The weight w says how strongly it is applied.
//!
//! Source: Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, sec. 4.1, arXiv 2106.09685.
//!
//! **The sum is what is kept.** There is no second path through a network at run time: it would cost two
//! more products per layer in every step, and a network [prepared](crate::Network::prepare) for sampling
//! has its weights transformed, to which nothing can be added any more. To keep a LoRA apart, keep the
//! network: a clone shares its tensors, so that it and a network with a LoRA need memory for the changed
//! weights only, and going back to it is exact. Without it, the weight −w takes a LoRA out again, up to
//! rounding.
//!
//! [`LoraConfig`] gives a network a LoRA to train; [`Adapted::save`] writes it as diffusers with PEFT.
//!
//! | files | names |
//! |---|---|
//! | diffusers with PEFT | `unet.….lora_A.weight`; α in `….alpha`, in the metadata, or as large as r |
//! | PEFT | `base_model.model.….lora_A.weight`; α in `adapter_config.json` beside the file, or as large as r |
//! | diffusers before | `unet.….lora.down.weight`, `….processor.to_q_lora.down.weight`, `….lora_linear_layer.down.weight` |
//! | kohya, LoCon | `lora_unet_….lora_down.weight` and `.alpha`; of diffusers' layers or the original ones; `lora_mid` |
//! | ComfyUI | `diffusion_model.….lora_A.weight`; Flux in the layout of Black Forest Labs |

mod adapters;
mod error;
mod fuse;
mod kind;
mod layer;
mod ldm;
mod name;
mod part;
mod pieces;
mod places;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use ddm_weights::Tensors;

pub use adapters::{Adapted, LoraConfig};
pub use error::LoraError;
pub use fuse::fuse;
pub use layer::LoraLayer;
pub use part::Part;

/// A file with a LoRA. See the [module](self).
///
/// Opening it reads names, shapes and α; the matrices are read when they are multiplied.
///
/// ```no_run
/// use burn::tensor::Device;
/// use ddm_models::UNet2dCondition;
/// use ddm_models::lora::{Lora, Part};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let base = UNet2dCondition::from_diffusers("stable-diffusion/unet", &Device::flex())?;
/// let lora = Lora::open("pytorch_lora_weights.safetensors")?;
/// for part in lora.parts() {
///     println!("{part}: {} layers", lora.layers(part).len());
/// }
/// let unet = lora.fused(base.clone(), Part::UNet, 0.8)?; // `base` is as it was
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Lora {
    origin: PathBuf,
    parts: BTreeMap<Part, Vec<LoraLayer>>,
}

impl Lora {
    /// Opens a file of safetensors or of PyTorch (`.bin`, `.pt`). Names tell which kind of file it is.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, holds no LoRA, or something beside it; if it is one
    /// of another kind, such as LoKr, LoHa or DoRA; or if a layer is incomplete, or has matrices that
    /// cannot be multiplied or an α that is no number.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LoraError> {
        Self::from_tensors(&Tensors::open(path)?)
    }

    /// The same for tensors that are open.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_tensors(tensors: &Tensors) -> Result<Self, LoraError> {
        let origin = tensors.origin().to_owned();
        let mut parts: BTreeMap<Part, Vec<LoraLayer>> = BTreeMap::new();
        for (part, layer) in pieces::layers(tensors)? {
            parts.entry(part).or_default().push(layer);
        }
        Ok(Self { origin, parts })
    }

    /// The file.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// The parts of a pipeline that it changes; at least one.
    ///
    /// Where names do not say the part, it is the U-Net, the transformer, or the first text encoder, by
    /// how the paths begin.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = Part> {
        self.parts.keys().copied()
    }

    /// Its layers for a part; none if it does not change it.
    pub fn layers(&self, part: Part) -> &[LoraLayer] {
        self.parts.get(&part).map_or(&[], Vec::as_slice)
    }

    /// Adds its product to the weights of a network.
    ///
    /// It computes in f32, and rounds to the type of the network's weights. The weights that it does not
    /// name stay shared with clones of the network. For several LoRAs, see [`fuse`].
    ///
    /// # Errors
    ///
    /// Returns [`LoraError::NoPart`] if it has no layers of this part, and [`LoraError::Misfit`] with all
    /// layers that do not fit the network, before anything is changed. Returns an error if `weight`
    /// or a number of the file is not finite, or a sum too large for the type of its weight; the network
    /// is then dropped, never partly changed.
    pub fn fused<M: Module>(&self, module: M, part: Part, weight: f64) -> Result<M, LoraError> {
        fuse(module, part, &[(self, weight)])
    }
}
