//! The autoencoders of latent diffusion, as diffusers has them.
//!
//! * [`AutoencoderKl`]: Stable Diffusion's, SDXL's, SD 3's and Flux's.
//! * [`AutoencoderTiny`]: a small approximation of one of these, for previews.
//! * [`VqModel`]: one with a codebook, of the first latent diffusion models.
//!
//! # Precision
//!
//! An autoencoder computes in the dtype of its weights, and returns that of its input. In half
//! precision, the statistics of the group norms and the attention are in f32. That does not suffice
//! for every checkpoint: the features of SDXL's decoder exceed the range of f16. Its config says so by
//! `force_upcast`, and then all features are in f32: each layer's weights are widened when it computes,
//! and stay as they are in memory.

mod kl;
mod network;
mod settings;
mod stages;
mod tiny;
mod vq;

pub use kl::{AutoencoderKl, AutoencoderKlConfig, VaeLoss};
pub use network::AutoencoderNetwork;
pub use tiny::{AutoencoderTiny, AutoencoderTinyConfig};
pub use vq::{Quantized, VqModel, VqModelConfig};
