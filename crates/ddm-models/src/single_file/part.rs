//! The parts of a checkpoint, and where their tensors are.

use std::fmt;

/// A part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The network of Stable Diffusion 1 and 2 and SDXL.
    UNet,
    /// The network of Stable Diffusion 3.
    Sd3Transformer,
    /// The network of Flux.
    FluxTransformer,
    /// The autoencoder.
    Autoencoder,
    /// The only CLIP, or the smaller of two.
    TextEncoder,
    /// The larger CLIP, of SDXL and Stable Diffusion 3.
    TextEncoder2,
    /// The T5 of Stable Diffusion 3 and Flux.
    T5,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UNet => "U-Net",
            Self::Sd3Transformer => "transformer of Stable Diffusion 3",
            Self::FluxTransformer => "transformer of Flux",
            Self::Autoencoder => "autoencoder",
            Self::TextEncoder => "text encoder",
            Self::TextEncoder2 => "second text encoder",
            Self::T5 => "T5 encoder",
        })
    }
}

/// A place of tensors: a part, or the network that denoises, of whichever kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Network,
    Of(Part),
}

/// What is before the names of a part's tensors. The first that fits counts.
const PREFIXES: [(&str, Place); 11] = [
    ("model.diffusion_model.", Place::Network),
    ("diffusion_model.", Place::Network),
    ("first_stage_model.", Place::Of(Part::Autoencoder)),
    ("vae.", Place::Of(Part::Autoencoder)),
    ("cond_stage_model.", Place::Of(Part::TextEncoder)),
    // The refiner of SDXL has the larger encoder alone.
    ("conditioner.embedders.0.model.", Place::Of(Part::TextEncoder2)),
    ("conditioner.embedders.0.", Place::Of(Part::TextEncoder)),
    ("conditioner.embedders.1.", Place::Of(Part::TextEncoder2)),
    ("text_encoders.clip_l.", Place::Of(Part::TextEncoder)),
    ("text_encoders.clip_g.", Place::Of(Part::TextEncoder2)),
    ("text_encoders.t5xxl.", Place::Of(Part::T5)),
];

/// Tensors by which a part is known whose names have nothing before them.
const BARE: [(&str, Place); 9] = [
    ("input_blocks.0.0.weight", Place::Network),
    ("joint_blocks.0.x_block.attn.qkv.weight", Place::Network),
    ("double_blocks.0.img_attn.qkv.weight", Place::Network),
    ("decoder.conv_in.weight", Place::Of(Part::Autoencoder)),
    ("text_model.embeddings.token_embedding.weight", Place::Of(Part::TextEncoder)),
    ("embeddings.token_embedding.weight", Place::Of(Part::TextEncoder)),
    ("token_embedding.weight", Place::Of(Part::TextEncoder)),
    ("shared.weight", Place::Of(Part::T5)),
    ("encoder.embed_tokens.weight", Place::Of(Part::T5)),
];

impl Place {
    /// Returns the place of a tensor, and its name there.
    pub(super) fn of(name: &str) -> Option<(Self, &str)> {
        PREFIXES.iter().find_map(|(prefix, place)| Some((*place, name.strip_prefix(prefix)?)))
    }

    /// Returns the place of the tensors that have nothing before their names.
    pub(super) fn of_bare(names: &[&str]) -> Option<Self> {
        let known = |marker: &str| names.binary_search(&marker).is_ok();
        BARE.iter().find(|(marker, _)| known(marker)).map(|(_, place)| *place)
    }
}
