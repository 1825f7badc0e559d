//! Autoencoders and the latent-space adapter for diffusion models on burn.
//!
//! A latent is a tensor like any other: every schedule, sampler and objective works on it. Train on
//! [`LatentSpace::encode`]d images, sample a latent, and [`LatentSpace::decode`] it.
//!
//! * [`Autoencoder`]: the trait to implement.
//! * [`Posterior`]: the output of an encoder, a Gaussian `N(μ, σ²)`.
//! * [`LatentSpace`]: an autoencoder with the shift and scale that make its latents fit a schedule.
//! * [`Sliced`] and [`Tiled`]: an autoencoder in less memory, sample by sample and tile by tile.

mod autoencoder;
mod latent;
mod posterior;
mod sliced;
mod tiled;

pub use autoencoder::Autoencoder;
pub use latent::LatentSpace;
pub use posterior::Posterior;
pub use sliced::Sliced;
pub use tiled::Tiled;
