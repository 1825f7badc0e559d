//! The parts of a pipeline that a LoRA can change.

use std::fmt;

/// A network of a pipeline, by its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Part {
    /// `unet`.
    UNet,
    /// `transformer`, in place of a U-Net: PixArt, Stable Diffusion 3, Flux.
    Transformer,
    /// `text_encoder`: the first, or only one.
    TextEncoder,
    /// `text_encoder_2`.
    TextEncoder2,
    /// `text_encoder_3`.
    TextEncoder3,
}

/// How the names of layers begin in the U-Nets of diffusers and of the original checkpoints.
const UNET: [&str; 14] = [
    "down_blocks",
    "mid_block",
    "up_blocks",
    "conv_in",
    "conv_out",
    "time_embedding",
    "add_embedding",
    "class_embedding",
    "input_blocks",
    "middle_block",
    "output_blocks",
    "time_embed",
    "label_emb",
    "out",
];

/// What comes before the path of a layer, and the part that it says; `None` is U-Net or transformer.
const DOTTED: [(&str, Option<Part>); 7] = [
    ("unet.", Some(Part::UNet)),
    ("transformer.", Some(Part::Transformer)),
    ("text_encoder.", Some(Part::TextEncoder)),
    ("text_encoder_2.", Some(Part::TextEncoder2)),
    ("text_encoder_3.", Some(Part::TextEncoder3)),
    ("diffusion_model.", None),
    ("model.diffusion_model.", None),
];

/// The same where `_` stands for the dots of the path.
const FLAT: [(&str, Option<Part>); 6] = [
    ("lora_unet_", None),
    ("lora_transformer_", Some(Part::Transformer)),
    ("lora_te_", Some(Part::TextEncoder)),
    ("lora_te1_", Some(Part::TextEncoder)),
    ("lora_te2_", Some(Part::TextEncoder2)),
    ("lora_te3_", Some(Part::TextEncoder3)),
];

/// What PEFT writes before a path.
pub(super) const PEFT: &str = "base_model.model.";

impl Part {
    /// The name of the network in a pipeline of diffusers.
    pub fn name(self) -> &'static str {
        match self {
            Self::UNet => "unet",
            Self::Transformer => "transformer",
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
            Self::TextEncoder3 => "text_encoder_3",
        }
    }

    /// Splits the name of a layer into the part and the path in it.
    pub(super) fn of(layer: &str) -> (Self, &str) {
        let layer = layer.strip_prefix(PEFT).unwrap_or(layer);
        for (prefix, part) in FLAT {
            if let Some(path) = layer.strip_prefix(prefix) {
                let part = part.unwrap_or_else(|| Self::denoiser(path, '_'));
                return (part, path);
            }
        }
        for (prefix, part) in DOTTED {
            if let Some(path) = layer.strip_prefix(prefix) {
                let part = part.unwrap_or_else(|| Self::denoiser(path, '.'));
                return (part, path);
            }
        }
        let text = ["text_model.", "encoder."].iter().any(|start| layer.starts_with(start));
        let part = if text { Self::TextEncoder } else { Self::denoiser(layer, '.') };
        (part, layer)
    }

    /// Whether a path begins as in a U-Net, or is one of a transformer.
    fn denoiser(path: &str, separator: char) -> Self {
        let begins = |start: &str| {
            path.strip_prefix(start)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
        };
        if UNET.iter().any(|start| begins(start)) { Self::UNet } else { Self::Transformer }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
