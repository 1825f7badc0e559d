//! Training of diffusion models: noisy inputs, targets and weighted losses.
//!
//! * [`Objective`] draws [`Example`]s from data, or computes the loss of a network;
//! * [`Weighting`] is the weight of each noise level, [`TimeSampling`] the distribution of times;
//! * [`pair`] assigns the noise of a batch to its data, for flow matching;
//! * [`Uncertainty`] learns the weight of each level; [`LossByTime`] shows the loss of each;
//! * [`SelfConditioned`] samples with networks that also see their earlier prediction;
//! * [`MixedPrecision`] computes in half precision with weights in f32;
//! * [`Hybrid`] also trains the variance, by the terms of the variational bound;
//! * [`OutputDistillation`] trains a smaller network to the predictions of a larger one, from
//!   which [`narrow`] takes its first weights;
//! * [`Ema`] averages the weights of any burn module, with any [`Decay`]; [`reconstruct`] computes
//!   averages of other widths after training;
//! * [`ConditionDropout`] prepares a network for classifier-free guidance;
//! * [`ProgressiveDistillation`], [`Consistency`] and [`MeanFlow`] train networks that sample in one to
//!   four steps;
//! * [`Training`] is a plain training loop; in a folder of [`Checkpoints`] it survives any interruption;
//!   [`DataParallel`] is the same loop on several devices.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use ddm_denoiser::VPrediction;
//! use ddm_noise::HostNoise;
//! use ddm_schedule::Cosine;
//! use ddm_train::{MinSnr, Objective};
//! let objective = Objective::new(Cosine::default(), VPrediction)?.weighting(MinSnr::default());
//! let images = Tensor::<4>::ones([16, 1, 8, 8], &Device::flex());
//! let example = objective.draw(images, &mut HostNoise::new(0))?;
//! let prediction = example.x_t.clone(); // network.predict(example.x_t.clone(), example.t.clone())
//! let loss = example.loss(prediction)?; // then loss.backward()
//! assert_eq!(loss.dims(), [1]);
//! # Ok::<(), ddm_train::TrainError>(())
//! ```

mod checkpoint;
mod data_parallel;
mod distillation;
mod dropout;
mod ema;
mod epsilon;
mod error;
mod example;
mod flat;
mod hybrid;
mod keep;
mod loss_by_time;
mod loss_scale;
mod mixed_precision;
mod narrow;
mod objective;
mod output_distillation;
mod pairing;
mod replicas;
mod sample_losses;
mod self_conditioning;
mod state;
mod step;
mod step_loss;
mod stopped;
mod times;
mod training;
mod uncertainty;
mod weighting;

pub use checkpoint::{Checkpoint, CheckpointError, Checkpoints, NewCheckpoint, Snapshot, Stateful};
pub use data_parallel::DataParallel;
pub use distillation::{
    Consistency, ConsistencyExample, Discretization, DoublingSteps, FixedSteps, LevelPair,
    MeanFlow, MeanFlowExample, ProgressiveDistillation, ShrinkingGap,
};
pub use dropout::ConditionDropout;
pub use ema::{Decay, Ema, PowerDecay, reconstruct};
pub use error::TrainError;
pub use example::{Example, Sampled};
pub use hybrid::{Hybrid, HybridExample};
pub use loss_by_time::LossByTime;
pub use loss_scale::LossScale;
pub use mixed_precision::MixedPrecision;
pub use narrow::narrow;
pub use objective::Objective;
pub use output_distillation::OutputDistillation;
pub use pairing::pair;
pub use sample_losses::SampleLosses;
pub use self_conditioning::SelfConditioned;
pub use step::StepNoise;
pub use step_loss::StepLoss;
pub use stopped::Stopped;
pub use times::{
    CosMap, LogNormal, LogitNormal, LossHistory, Mode, Stratified, TimeSampling, UniformTime,
};
pub use training::{Progress, Trained, Training};
pub use uncertainty::{Uncertainty, WithUncertainty};
pub use weighting::{EdmWeight, MinSnr, P2, ScoreMatching, TruncatedSnr, UniformWeight, Weighting};
