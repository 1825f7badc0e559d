//! LoRA: small updates of a network's weights, read from the files that trainers write.
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
//! | files | names |
//! |---|---|
//! | diffusers with PEFT | `unet.….lora_A.weight`; α in `….alpha`, in the metadata, or as large as r |
//! | PEFT | `base_model.model.….lora_A.weight`; α in `adapter_config.json` beside the file |
//! | diffusers before | `unet.….lora.down.weight`, `….processor.to_q_lora.down.weight`, `….lora_linear_layer.down.weight` |
//! | kohya, LoCon | `lora_unet_….lora_down.weight` and `.alpha`; of diffusers' layers or the original ones; `lora_mid` |
//! | ComfyUI | `diffusion_model.….lora_A.weight`; Flux in the layout of Black Forest Labs |

mod error;
mod kind;
mod layer;
mod ldm;
mod name;
mod part;
mod pieces;
mod places;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Tensor;
use ddm_weights::{Difference, Misfit, Tensors, add_products};

pub use error::LoraError;
pub use layer::LoraLayer;
pub use part::Part;
use places::Places;

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

    /// Finds the place of each layer in a network.
    fn targets<'a>(
        &'a self,
        places: &Places,
        part: Part,
    ) -> Result<Vec<(String, &'a LoraLayer, Range<usize>)>, LoraError> {
        let mut misfit = Misfit::default();
        let mut targets = Vec::new();
        let mut names = HashMap::new();
        for layer in self.layers(part) {
            let Some(weights) = places.find(&layer.path) else {
                misfit.unused.push(layer.name.clone());
                continue;
            };
            let rows_of = |shape: &[usize]| shape.first().copied().unwrap_or(0);
            let rows = weights.iter().map(|(_, shape)| rows_of(shape)).sum();
            let mut begin = 0;
            for (key, shape) in &weights {
                if !layer.fits(rows, shape) {
                    let mut expected = shape.clone();
                    expected.splice(..expected.len().min(1), [rows]);
                    misfit.different.push(Difference {
                        tensor: layer.name.clone(),
                        found: format!("{:?} (rank {})", layer.shape(), layer.rank()),
                        expected: format!("{expected:?}"),
                    });
                    break;
                }
                if let Some(first) = names.insert(key.clone(), layer.name.clone()) {
                    let (path, second) = (self.origin.clone(), layer.name.clone());
                    return Err(LoraError::Twice { path, first, second });
                }
                targets.push((key.clone(), layer, begin..begin + rows_of(shape)));
                begin += rows_of(shape);
            }
        }
        if misfit.is_empty() {
            return Ok(targets);
        }
        Err(LoraError::Misfit { path: self.origin.clone(), part, misfit })
    }
}

/// Adds the products of several LoRAs to the weights of a network, each with its weight.
///
/// They are summed first, in f32, and the sum is rounded once; one after the other they would be rounded
/// as often, which matters in half precision. Those without layers of this part add nothing.
///
/// ```no_run
/// # use ddm_models::UNet2dCondition;
/// use ddm_models::lora::{Lora, Part, fuse};
/// # fn run(unet: UNet2dCondition) -> Result<(), ddm_models::lora::LoraError> {
/// let (style, person) = (Lora::open("style.safetensors")?, Lora::open("person.safetensors")?);
/// let unet = fuse(unet, Part::UNet, &[(&style, 0.6), (&person, 1.0)])?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`Lora::fused`]; but [`LoraError::NoPart`] only if none of several has layers of this part. An
/// empty list is no error, and changes nothing.
pub fn fuse<M: Module>(module: M, part: Part, loras: &[(&Lora, f64)]) -> Result<M, LoraError> {
    if let Some((_, weight)) = loras.iter().find(|(_, weight)| !weight.is_finite()) {
        return Err(LoraError::Weight(*weight));
    }
    let places = Places::of(&module);
    let mut targets: HashMap<String, Vec<(&Lora, f64, &LoraLayer, Range<usize>)>> = HashMap::new();
    for (lora, weight) in loras {
        for (key, layer, rows) in lora.targets(&places, part)? {
            targets.entry(key).or_default().push((lora, *weight, layer, rows));
        }
    }
    if targets.is_empty() && !loras.is_empty() {
        let files: Vec<_> =
            loras.iter().map(|(lora, _)| lora.origin.display().to_string()).collect();
        let mut found: Vec<_> = loras.iter().flat_map(|(lora, _)| lora.parts()).collect();
        found.sort();
        found.dedup();
        return Err(LoraError::NoPart { path: files.join(", "), part, found });
    }
    add_products(module, |key, device| {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (lora, weight, layer, rows) in targets.get(key).into_iter().flatten() {
            let (up, down) = layer.factors(*weight, rows.clone(), &lora.origin, device)?;
            left.push(up);
            right.push(down);
        }
        // B₁ A₁ + B₂ A₂ = [B₁ B₂] [A₁; A₂].
        let any = !left.is_empty();
        Ok(any.then(|| (Tensor::cat(left, 1), Tensor::cat(right, 0))))
    })
}
