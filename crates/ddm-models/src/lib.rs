//! Networks for diffusion models on burn: an MLP for points, a U-Net for images, a small VAE.
//!
//! * [`Mlp`] for `[batch, dim]`, [`UNet2d`] for `[batch, channels, height, width]`: networks
//!   `F(x, t)`, optionally with classes. They implement the traits of [`ddm_denoiser`].
//! * [`AutoencoderKl`], of which [`Vae`] is a small one, [`AutoencoderTiny`] and [`VqModel`]: an
//!   [`Autoencoder`](ddm_latent::Autoencoder) each, for diffusion in its latent space.
//! * [`text`]: CLIP's and T5's text encoders, as transformers has them.
//! * [`transformer`]: DiT, PixArt, and the networks of Stable Diffusion 3 and Flux, as diffusers has them.
//! * [`UNet2dCondition`], [`ControlNet`]: the U-Nets with a text (Stable Diffusion 1 and 2, SDXL and their
//!   kin), and their control by images.
//! * [`lora`]: small updates of the weights of all of these, from the files that trainers write.
//! * [`single_file`]: checkpoints of one file, as model sites have them.
//! * [`TimestepEmbedding`] and [`Conditioning`]: the timestep and the class as network inputs.
//! * [`blocks`]: the parts of the U-Net and the VAE, and their operations.
//! * [`save_weights`] and [`load_weights`]: safetensors files; [`UNet2d::from_diffusers`] and
//!   [`UNet2d::to_diffusers`]: a directory of diffusers. All networks have the names of diffusers or
//!   transformers, so that Python loads what is trained here.

mod autoencoder;
pub mod blocks;
mod component;
mod conditioning;
mod diffusers_error;
mod embedding;
mod error;
pub mod lora;
mod mlp;
mod prepared;
mod settings;
pub mod single_file;
pub mod text;
pub mod transformer;
mod unet;
mod unets;
mod vae;
mod weights;

pub use autoencoder::{
    AutoencoderKl, AutoencoderKlConfig, AutoencoderNetwork, AutoencoderTiny, AutoencoderTinyConfig,
    Quantized, VaeLoss, VqModel, VqModelConfig,
};
pub use component::Component;
pub use conditioning::{Conditioning, ConditioningConfig};
pub use ddm_weights::{WeightsError, save as save_weights};
pub use diffusers_error::DiffusersError;
pub use embedding::TimestepEmbedding;
pub use error::NetworkConfigError;
pub use mlp::{Mlp, MlpConfig};
pub use prepared::{Network, Prepared};
pub use unet::{UNet, UNetConfig};
pub use unets::{
    AddedConditions, AdditionEmbed, BlockType, ClassEmbed, ClassLabels, Control, ControlNet,
    ControlNetConfig, ControlResiduals, MidBlockType, PerLevel, TimeEmbedding, UNet2d,
    UNet2dCondition, UNet2dConditionConfig, UNet2dConfig, UNetCondition,
};
pub use vae::{Vae, VaeConfig};
pub use weights::load_weights;
