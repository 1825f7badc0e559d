//! Training: what the network is shown, what it should answer, and how much each error counts.
//!
//! * an [`Objective`] makes [`Example`]s from data and weighs the loss; you call your network;
//! * a [`Weighting`] says which noise levels matter;
//! * [`Hybrid`] also teaches the variance, by the terms of the variational bound ([`ChainRows`]);
//! * [`Ema`] averages the weights of any burn module;
//! * [`ConditionDropout`] makes a network fit for classifier-free guidance;
//! * [`Training`] is a plain loop with a progress bar, for those who do not bring their own.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use ddm_denoiser::VPrediction;
//! use ddm_noise::HostNoise;
//! use ddm_schedule::Cosine;
//! use ddm_train::{MinSnr, Objective};
//! let schedule = Cosine::default();
//! let objective = Objective::new(&schedule, VPrediction)?.weighting(MinSnr::default());
//! let images = Tensor::<4>::ones([16, 1, 8, 8], &Device::flex());
//! let example = objective.draw(images, &mut HostNoise::new(0))?;
//! let answer = example.x_t.clone(); // network.predict(example.x_t.clone(), example.t.clone())
//! let loss = example.loss(answer)?; // then loss.backward()
//! assert_eq!(loss.dims(), [1]);
//! # Ok::<(), ddm_denoiser::ModelError>(())
//! ```

mod chain;
mod dropout;
mod ema;
mod error;
mod hybrid;
mod objective;
mod training;
mod weighting;

pub use chain::ChainRows;
pub use dropout::ConditionDropout;
pub use ema::Ema;
pub use error::TrainError;
pub use hybrid::{Hybrid, HybridExample};
pub use objective::{Example, Objective};
pub use training::{Trained, Training};
pub use weighting::{MinSnr, P2, ScoreMatching, Uniform, Weighting};
