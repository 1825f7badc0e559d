//! Diffusion models as models of the score `∇ₓ ln p_t(x)`, the gradient of the log-density of noisy
//! data.
//!
//! * [`AnnealedLangevin`] samples with the score and noise alone; [`PredictorCorrector`] adds such
//!   moves to any sampler;
//! * [`ReverseDiffusion`] and [`EulerMaruyama`] discretise the reverse SDE directly;
//! * [`ProbabilityFlow`] solves the ODE from noise to data and back to a tolerance; [`slerp`]
//!   interpolates between latents;
//! * [`Likelihood`] estimates the log-density of x, and [`Dequantizer`] converts it to bits per
//!   dimension;
//! * [`VariationalBound`] bounds the log-likelihood under the chain of a β table.
//!
//! All of them use the model's x̂₀, which [`score_of`] converts to the score.

mod bound;
mod corrector;
mod dequantizer;
mod dormand_prince;
mod error;
mod flow;
mod interpolate;
mod langevin;
mod likelihood;
mod path;
mod reverse_sde;
mod score;
mod state;
mod step_controller;

pub use bound::{Bound, DataTerm, VariationalBound};
pub use corrector::{CorrectorStep, PredictorCorrector};
pub use dequantizer::Dequantizer;
pub use error::ScoreError;
pub use flow::{ProbabilityFlow, Solution};
pub use interpolate::{slerp, slerp_async};
pub use langevin::AnnealedLangevin;
pub use likelihood::{Estimate, Likelihood, Probe};
pub use reverse_sde::{EulerMaruyama, ReverseDiffusion};
pub use score::score_of;
