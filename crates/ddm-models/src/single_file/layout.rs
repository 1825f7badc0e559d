//! The layouts, distinguished by names and shapes.

use std::collections::BTreeMap;
use std::fmt;

use ddm_weights::Tensors;

use super::Part;
use super::part::Place;

/// The layout of a single file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// Stable Diffusion 1 and its kin: text by OpenAI's CLIP.
    StableDiffusion1,
    /// Stable Diffusion 2: text by open_clip.
    StableDiffusion2,
    /// Stable Diffusion's upscaler by 4.
    Upscaler,
    /// Stable Diffusion XL.
    Xl,
    /// The refiner of Stable Diffusion XL.
    XlRefiner,
    /// Stable Diffusion 3 and 3.5.
    StableDiffusion3,
    /// Flux.1.
    Flux,
    /// An autoencoder without a network.
    Autoencoder,
    /// Text encoders without a network.
    TextEncoder,
}

impl Layout {
    /// The scale s and the shift m of latents for diffusion, `(z − m) s`, with which the released network
    /// was trained. `None` for parts alone, which do not tell it.
    #[must_use]
    pub fn latent_scale_and_shift(self) -> Option<(f64, f64)> {
        Some(match self {
            Self::StableDiffusion1 | Self::StableDiffusion2 => (0.18215, 0.0),
            Self::Upscaler => (0.08333, 0.0),
            Self::Xl | Self::XlRefiner => (0.13025, 0.0),
            Self::StableDiffusion3 => (1.5305, 0.0609),
            Self::Flux => (0.3611, 0.1159),
            Self::Autoencoder | Self::TextEncoder => return None,
        })
    }

    /// The names of all layouts.
    pub(super) fn known() -> String {
        let all = [
            Self::StableDiffusion1,
            Self::StableDiffusion2,
            Self::Upscaler,
            Self::Xl,
            Self::XlRefiner,
            Self::StableDiffusion3,
            Self::Flux,
            Self::Autoencoder,
            Self::TextEncoder,
        ];
        all.map(|layout| layout.to_string()).join(", ")
    }

    /// Tells the layout and the kind of the network from the tensors of each place; `None` if there is a
    /// network of another kind, or nothing.
    pub(super) fn of(places: &BTreeMap<Place, Tensors>) -> Option<(Self, Option<Part>)> {
        let Some(network) = places.get(&Place::Network) else {
            let autoencoder = places.contains_key(&Place::Of(Part::Autoencoder));
            let alone = if autoencoder { Self::Autoencoder } else { Self::TextEncoder };
            return (!places.is_empty()).then_some((alone, None));
        };
        if network.contains("joint_blocks.0.context_block.adaLN_modulation.1.bias") {
            return Some((Self::StableDiffusion3, Some(Part::Sd3Transformer)));
        }
        if network.contains("double_blocks.0.img_attn.norm.key_norm.scale") {
            return Some((Self::Flux, Some(Part::FluxTransformer)));
        }
        if !network.contains("input_blocks.0.0.weight") {
            return None;
        }
        Some((Self::of_unet(network, places), Some(Part::UNet)))
    }

    fn of_unet(network: &Tensors, places: &BTreeMap<Place, Tensors>) -> Self {
        let axis = |name: &str, axis: usize| network.get(name).ok()?.shape().get(axis).copied();
        let open_clip = |tensors: &Tensors| tensors.contains("model.token_embedding.weight");
        let first = places.get(&Place::Of(Part::TextEncoder));
        let second = places.get(&Place::Of(Part::TextEncoder2));
        // A width of the text that Stable Diffusion 1 does not have, or the linear layers of the later
        // networks, where it has convolutions.
        let (mut context, mut linear) = (None, false);
        for (name, view) in network.iter() {
            if name.ends_with(".attn2.to_k.weight") {
                context = context.or(view.shape().get(1).copied());
            } else if name.ends_with(".proj_in.weight") {
                linear |= view.shape().len() == 2;
            }
        }
        if network.contains("label_emb.weight") {
            return Self::Upscaler;
        }
        if let Some(vectors) = axis("label_emb.0.0.weight", 1) {
            return match (first, second) {
                // Stable Diffusion 2 with the vector of an image.
                (Some(first), _) if open_clip(first) => Self::StableDiffusion2,
                (None, None) if context == Some(1024) => Self::StableDiffusion2,
                (None, Some(_)) => Self::XlRefiner,
                (None, None) if vectors == 2560 => Self::XlRefiner,
                _ => Self::Xl,
            };
        }
        match first {
            Some(first) if open_clip(first) => Self::StableDiffusion2,
            None if context == Some(1024) || linear => Self::StableDiffusion2,
            _ => Self::StableDiffusion1,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StableDiffusion1 => "Stable Diffusion 1",
            Self::StableDiffusion2 => "Stable Diffusion 2",
            Self::Upscaler => "Stable Diffusion's upscaler",
            Self::Xl => "Stable Diffusion XL",
            Self::XlRefiner => "the refiner of Stable Diffusion XL",
            Self::StableDiffusion3 => "Stable Diffusion 3",
            Self::Flux => "Flux",
            Self::Autoencoder => "an autoencoder alone",
            Self::TextEncoder => "text encoders alone",
        })
    }
}
