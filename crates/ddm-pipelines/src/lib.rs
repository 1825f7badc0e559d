//! Pipelines of pretrained diffusion models: a prompt in, a picture out.
//!
//! A [`Pipeline`] composes what the other crates have: a [`Tokenizer`], text encoders, a network, an
//! autoencoder, a scheduler. [`open`] opens a directory that diffusers wrote, whatever its class; or
//! open one of a known kind: [`StableDiffusion`], [`StableDiffusionXl`], [`StableDiffusion3`], [`Flux`],
//! [`PixArtPipeline`], [`DitPipeline`], [`Unconditional`]. A [`Request`] says what to make, and
//! [`Pipeline::start`] returns a [`Generation`]: an iterator of frames, and then the images.
//!
//! With the feature `hub`, `Hub` fetches models from the Hugging Face Hub.
//!
//! With the same weights, prompt and noise the images are diffusers'.
//! [`TorchNoise`](ddm_noise::TorchNoise) is the noise of a seed in PyTorch.

mod bins;
mod control;
mod directory;
mod encoders;
mod error;
mod files;
mod first_channels;
mod flux;
mod geometry;
mod guided;
#[cfg(feature = "hub")]
mod hub;
mod image;
mod inpaint;
mod latent_diffusion;
mod load;
mod pack;
mod part;
mod patches;
mod pipeline;
mod pixart;
mod prepare;
mod preview;
mod request;
mod run;
mod scheduler_names;
mod stable_diffusion;
mod stable_diffusion_3;
mod stable_diffusion_xl;
mod start;
mod takes;
mod tokenizer;
mod transformers;
mod unconditional;

pub use directory::ModelDirectory;
pub use error::PipelineError;
pub use flux::Flux;
#[cfg(feature = "hub")]
pub use hub::{Hub, HubError, Transfer};
pub use latent_diffusion::LatentDiffusion;
pub use load::Loading;
pub use pack::{pack, unpack};
pub use part::Part;
pub use pipeline::{Pipeline, open};
pub use pixart::PixArtPipeline;
pub use preview::LinearPreview;
pub use request::{ControlImage, Request, Sizes};
pub use run::{Generation, Latents};
pub use scheduler_names::{sampler_names, scheduler_named};
pub use stable_diffusion::StableDiffusion;
pub use stable_diffusion_3::StableDiffusion3;
pub use stable_diffusion_xl::{StableDiffusionXl, TextXl};
pub use tokenizer::{Tokenizer, Tokens};
pub use transformers::LatentTransformer;
pub use unconditional::{DitPipeline, Unconditional};
