//! Transformers that denoise images: DiT, PixArt, and those of Stable Diffusion 3 and Flux.
//!
//! Their parameters have the names of diffusers' checkpoints. A network has its `forward`, and
//! implements [`ConditionalPredictor`](ddm_denoiser::ConditionalPredictor), with a condition of several
//! tensors, such as [`Sd3Conditions`].

mod attention;
mod conditions;
mod dit;
mod dit_config;
mod embeddings;
mod feed_forward;
mod flux;
mod flux_config;
mod joint_block;
mod modulation;
mod patches;
mod pixart;
mod pixart_config;
mod prepared;
mod rope;
mod sd3;
mod sd3_config;
mod single_block;

pub use conditions::{FluxConditions, PixArtConditions, Sd3Conditions};
pub use dit::Dit;
pub use dit_config::DitConfig;
pub use flux::FluxTransformer;
pub use flux_config::FluxTransformerConfig;
pub use pixart::PixArt;
pub use pixart_config::PixArtConfig;
pub use sd3::Sd3Transformer;
pub use sd3_config::Sd3TransformerConfig;

use burn::nn::Linear;
use ddm_schedule::Invalid;

use crate::NetworkConfigError;
use crate::blocks::Activation;
use patches::PatchEmbed;

/// The class that old checkpoints of DiT and PixArt have.
const TRANSFORMER_2D: &str = "Transformer2DModel";

/// The activations of the feed-forward networks by their names in diffusers.
fn activations() -> [(&'static str, Activation); 2] {
    [("gelu-approximate", Activation::GeluTanh), ("gelu", Activation::Gelu)]
}

/// Returns the number of channels of a prediction whose patches `layer` makes.
fn predicted_channels(layer: &Linear, patches: &PatchEmbed) -> usize {
    layer.weight.dims()[1] / patches.values()
}

/// Checks what the configs have in common: sizes, `(sample_size, patch_size)` and `(epsilon, dropout)`.
fn require_sizes(
    width: usize,
    sizes: &[(&'static str, usize)],
    (sample_size, patch_size): (usize, usize),
    (epsilon, dropout): (f64, f64),
) -> Result<(), NetworkConfigError> {
    let image = [("sample_size", sample_size), ("patch_size", patch_size)];
    for &(what, size) in sizes.iter().chain(&image) {
        NetworkConfigError::require_some(what, size)?;
    }
    // Sines and cosines of x, sines and cosines of y.
    let of = "number of quarters of a position";
    NetworkConfigError::require_multiple("the width of all heads", width, 4, of)?;
    let (fits, allowed) = (patch_size <= sample_size, "at most sample_size");
    Invalid::require(fits, "patch_size", patch_size as f64, allowed)?;
    let valid = epsilon > 0.0 && epsilon.is_finite();
    Invalid::require(valid, "norm_eps", epsilon, "finite and above 0")?;
    let (rate, allowed) = (dropout, "at least 0 and below 1");
    Ok(Invalid::require((0.0..1.0).contains(&rate), "dropout", rate, allowed)?)
}
