//! Denoising-diffusion models for burn: schedules, samplers, training and latent space behind one
//! name.
//!
//! *A schedule gives levels; a model gives x̂₀; a sampler moves x between levels; a run is an
//! iterator.*
//!
//! Nothing lives here: this crate re-exports the others and forwards burn's backend features by
//! burn's names (`flex`, `ndarray`, `wgpu`, `vulkan`, `metal`, `webgpu`, `cuda`, `rocm`, `cpu`).
//! Choose one where you build your program:
//!
//! ```toml
//! ddm-core = { version = "0.1", features = ["flex"] }
//! ```
//!
//! The other features are parts, all on by default: a program that only samples builds less with
//! `default-features = false`. `models` includes `latent`.
//!
//! | what | module, and feature if there is one |
//! |---|---|
//! | noise schedules, grids, the two kernels | [`schedule`] |
//! | noise predictors, parameterizations, guidance | [`denoiser`] |
//! | noise sources | [`noise`] |
//! | samplers, runs | [`samplers`] |
//! | Langevin dynamics, reverse SDEs, the probability-flow ODE, likelihoods | [`score`], feature `score` |
//! | objectives, weightings, EMA, the loop | [`train`], feature `train` |
//! | data for training | `data`, feature `data`, not on by default |
//! | autoencoders and latent space | [`latent`], feature `latent` |
//! | networks: MLP, U-Net, VAE | [`models`], feature `models` |
//! | whole pipelines of pretrained models | `pipelines`, feature `pipelines`, not on by default |
//! | training in burn's learner | `learner`, feature `learner`, not on by default |
//! | how good samples are: distances, diversity, memorization | `quality`, feature `quality`, not on by default |
//! | what diffusers' scheduler configs mean | [`diffusers`], feature `diffusers` |
//!
//! A first sample, without any training: the exact denoiser of data that is N(2, 0.1²).
//!
//! ```
//! use ddm_core::prelude::*;
//! let device = Device::flex();
//! let schedule = Cosine::default();
//! let model = from_fn(|x: Tensor<2>, at: NoiseLevel| {
//!     let variance = 0.01 * at.alpha_bar() + at.sigma * at.sigma;
//!     (x - 2.0 * at.alpha) * (0.01 * at.alpha / variance) + 2.0
//! });
//! let run = Sampling::new(&model, &schedule).sampler(Ddpm::default()).steps(100).seed(7);
//! let x = run.sample([1000, 1], &device)?;
//! let (variance, mean) = x.var_mean(0);
//! assert!((mean.into_scalar::<f32>() - 2.0).abs() < 0.02);
//! assert!((variance.into_scalar::<f32>().sqrt() - 0.1).abs() < 0.02);
//! # Ok::<(), SamplingError>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

pub use burn;

#[cfg(feature = "data")]
pub use ddm_data as data;
pub use ddm_denoiser as denoiser;
#[cfg(feature = "diffusers")]
pub use ddm_diffusers as diffusers;
#[cfg(feature = "latent")]
pub use ddm_latent as latent;
#[cfg(feature = "learner")]
pub use ddm_learner as learner;
#[cfg(feature = "models")]
pub use ddm_models as models;
pub use ddm_noise as noise;
#[cfg(feature = "pipelines")]
pub use ddm_pipelines as pipelines;
#[cfg(feature = "quality")]
pub use ddm_quality as quality;
pub use ddm_samplers as samplers;
pub use ddm_schedule as schedule;
#[cfg(feature = "score")]
pub use ddm_score as score;
#[cfg(feature = "train")]
pub use ddm_train as train;
#[cfg(feature = "models")]
pub use ddm_weights as weights;

/// The names that most programs use, in one line: `use ddm_core::prelude::*;`. All others are in
/// the modules.
pub mod prelude {
    pub use burn::tensor::{Device, Int, Tensor};
    pub use ddm_denoiser::{
        ClassifierFree, ConditionalPredictor, Denoiser, Model, ModelError, NoisePredictor,
        VPrediction, from_fn,
    };
    #[cfg(feature = "models")]
    pub use ddm_models::{MlpConfig, UNetConfig};
    pub use ddm_noise::{HostNoise, NoiseSource};
    pub use ddm_samplers::{Context, Ddim, Ddpm, DpmSolverPp, Sampler, Sampling, SamplingError};
    pub use ddm_schedule::{
        BetaTable, Cosine, Grid, NoiseLevel, NoiseSchedule, Trailing, VarianceExploding,
    };
    #[cfg(feature = "train")]
    pub use ddm_train::{Objective, StepNoise, Training};
}

/// The README's program, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
