//! Networks for diffusion models on burn: an MLP for points, a U-Net for images, a small VAE.
//!
//! * [`Mlp`] for `[batch, dim]`, [`UNet`] for `[batch, channels, height, width]`: networks
//!   `F(x, t)`, optionally with classes. They implement the traits of [`ddm_denoiser`].
//! * [`Vae`]: an [`Autoencoder`](ddm_latent::Autoencoder) for diffusion in its latent space.
//! * [`TimestepEmbedding`] and [`Conditioning`]: the timestep and the class as network inputs.
//! * [`blocks`]: the parts of the U-Net and the VAE, and their operations.
//! * [`save_weights`] and [`load_weights`]: safetensors files; [`UNet::from_diffusers`]: a directory of
//!   diffusers.

pub mod blocks;
mod conditioning;
mod embedding;
mod error;
mod mlp;
mod prepared;
mod settings;
mod unet;
mod unets;
mod vae;
mod weights;

pub use conditioning::{Conditioning, ConditioningConfig};
pub use embedding::TimestepEmbedding;
pub use error::NetworkConfigError;
pub use mlp::{Mlp, MlpConfig};
pub use prepared::{Network, Prepared};
pub use unet::{DiffusersError, UNet, UNetConfig};
pub use unets::{
    AddedConditions, AdditionEmbed, BlockType, ClassEmbed, ClassLabels, ControlResiduals,
    MidBlockType, PerLevel, UNet2dCondition, UNet2dConditionConfig, UNetCondition,
};
pub use vae::{Vae, VaeConfig, VaeLoss};
pub use weights::{WeightsError, load_pytorch_weights, load_weights, save_weights};
