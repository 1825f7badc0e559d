//! The autoencoders of latent diffusion, as diffusers has them.
//!
//! * [`AutoencoderKl`]: Stable Diffusion's, SDXL's, SD 3's and Flux's.
//! * [`AutoencoderTiny`]: a small approximation of one of these, for previews.
//! * [`VqModel`]: one with a codebook, of the first latent diffusion models.

mod kl;
mod network;
mod settings;
mod stages;
mod tiny;
mod vq;
mod write;

pub use kl::{AutoencoderKl, AutoencoderKlConfig, VaeLoss};
pub use network::AutoencoderNetwork;
pub use tiny::{AutoencoderTiny, AutoencoderTinyConfig};
pub use vq::{Quantized, VqModel, VqModelConfig};
