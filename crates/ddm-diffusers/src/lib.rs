//! Reads and writes diffusers' scheduler configs, `scheduler_config.json`.
//!
//! A scheduler of diffusers corresponds to four things here. A [`SchedulerConfig`] returns each:
//!
//! * the [`schedule`](SchedulerConfig::schedule);
//! * the [`levels`](SchedulerConfig::levels) of a run, with diffusers' timesteps and sigmas;
//! * the [`parameterization`](SchedulerConfig::parameterization), or the complete
//!   [`denoiser`](SchedulerConfig::denoiser) of a network, clipped or thresholded;
//! * the [`sampler`](SchedulerConfig::sampler).
//!
//! [`SchedulerConfig::sampling`] combines them with a network. A config gives the same numbers as
//! diffusers. A doubtful setting is a [`Note`]; a setting that fails in diffusers is an error, a
//! [`Contradiction`]. Only this crate knows the names of classes and options.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use ddm_denoiser::from_fn;
//! use ddm_diffusers::SchedulerConfig;
//! use ddm_samplers::Sampling;
//! let config: SchedulerConfig =
//!     r#"{"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": true}"#.parse()?;
//! let (schedule, levels) = (config.schedule()?, config.levels(10)?);
//! let start = config.start_scale(levels[0]);
//! let model = config.denoiser(from_fn(|x: Tensor<2>, _t: Tensor<1>| x))?;
//! let run = Sampling::new(&*model, &schedule).sampler(config.sampler::<2>()?).levels(levels);
//! let x = run.start_from(Tensor::ones([4, 2], &Device::flex()) * start)?.finish();
//! assert_eq!(x.dims(), [4, 2]);
//! # Ok::<(), ddm_diffusers::ConfigError>(())
//! ```

mod class;
mod cogvideox;
mod config;
mod consistency;
mod contradiction;
mod defaults;
mod denoiser;
mod error;
mod flow;
mod inversion;
pub mod json;
mod levels;
mod ltx;
mod not_read;
mod note;
mod pndm;
mod prediction;
mod repaint;
mod rows;
mod sampler;
mod sampling;
mod schedule;
mod set_timesteps;
mod settings;
mod sigmas;
mod step_args;
mod strength;
mod table;
mod unclip;
mod walk;
mod words;
mod wuerstchen;

pub use class::Class;
pub use config::SchedulerConfig;
pub use consistency::ConsistencyPrediction;
pub use contradiction::Contradiction;
pub use error::ConfigError;
pub use note::Note;
pub use prediction::Prediction;
pub use sampling::ConfigSampling;
pub use set_timesteps::SetTimesteps;
pub use step_args::StepArgs;
