//! The other half of the story: the model as the score, `∇ₓ ln p_t(x)`, the gradient of the
//! log-density of noisy data.
//!
//! * [`AnnealedLangevin`] samples with the score and noise alone; [`PredictorCorrector`] adds such
//!   moves to any sampler;
//! * [`ReverseDiffusion`] and [`EulerMaruyama`] are the reverse SDE, discretised as it stands;
//! * [`ProbabilityFlow`] goes from noise to data and back along one curve, as exactly as it is
//!   told to; [`slerp`] goes from one noise to another;
//! * [`Likelihood`] says how likely x is, and [`Dequantizer`] turns that into bits a dimension;
//! * [`VariationalBound`] bounds the same for the chain of a β table.
//!
//! All of it stands on the model's x̂₀: [`score_of`] is the score that it means.

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
