//! Laws that every schedule, grid, denoiser and sampler must satisfy, as public functions.
//!
//! Test your own schedule or sampler with the laws that the built-in ones pass. Each law is a
//! function that returns `Ok(())` or a [`Violation`], with what was found and what was expected.
//! Each module's `all` checks every law of one trait:
//!
//! ```
//! use burn::tensor::Device;
//! use ddm_samplers::Ddim;
//! use ddm_schedule::{Cosine, NoiseSchedule, Trailing};
//! use ddm_testkit::{grid, order, sampler, schedule};
//! /// α falls as a cosine, σ rises as a sine.
//! struct MySchedule;
//! impl NoiseSchedule for MySchedule {
//!     fn alpha_sigma(&self, t: f64) -> (f64, f64) {
//!         let angle = 0.998 * t * std::f64::consts::FRAC_PI_2;
//!         (angle.cos(), angle.sin())
//!     }
//! }
//! schedule::all(&MySchedule)?;
//! grid::all(&Trailing, &MySchedule, &[1, 10, 50])?;
//! sampler::all(&Ddim::default(), &MySchedule, &Device::flex())?;
//! order::has_order(&Ddim::default(), 1.0, &Cosine::default(), &Device::flex())?;
//! # Ok::<(), ddm_testkit::Violation>(())
//! ```
//!
//! * [`schedule`], [`kernel`], [`grid`]: laws of host numbers;
//! * [`parameterization`], [`denoiser`]: laws of models and their wrappers;
//! * [`sampler`]: the laws of every sampler; [`order`] and [`moments`]: its accuracy;
//! * [`Gaussian`], [`GaussianMixture`], [`FiniteData`], [`ExactPredictor`]: exact models;
//! * [`device`]: the operations of networks, on a device and on another;
//! * [`compare`]: comparisons of numbers.
//!
//! The laws work on every backend: those that create tensors take the device. They read tensors
//! back and so wait for the device.

pub mod compare;
pub mod denoiser;
pub mod device;
mod exact_predictor;
mod finite;
mod gaussian;
pub mod grid;
pub mod kernel;
mod mixture;
pub mod moments;
pub mod order;
pub mod parameterization;
mod path;
pub mod sampler;
pub mod schedule;
mod violation;

pub use exact_predictor::ExactPredictor;
pub use finite::FiniteData;
pub use gaussian::Gaussian;
pub use mixture::GaussianMixture;
pub use path::GaussianPath;
pub use violation::Violation;
