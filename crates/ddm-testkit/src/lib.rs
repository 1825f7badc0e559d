//! Laws that every schedule, grid, denoiser and sampler obeys, as functions anyone may call.
//!
//! Write your own schedule or sampler, and put it through what the built-in ones pass. Each law is
//! a function that answers `Ok(())` or a [`Violation`], which says what was found and what is
//! demanded; each module's `all` is every law of one trait:
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
//! * [`schedule`], [`kernel`], [`grid`]: host numbers only;
//! * [`parameterization`], [`denoiser`]: models and their wrappers;
//! * [`sampler`]: what holds of every sampler; [`order`] and [`moments`]: how exact it is;
//! * [`Gaussian`], [`GaussianMixture`], [`FiniteData`], [`ExactPredictor`]: models that are exactly right;
//! * [`compare`]: numbers to numbers.
//!
//! No backend is named: every law that makes tensors takes the device. The laws read tensors back
//! and so wait for the device.

pub mod compare;
pub mod denoiser;
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
