//! The other half of the story: the model as the score, `∇ₓ ln p_t(x)`, the gradient of the
//! log-density of noisy data.
//!
//! * [`ProbabilityFlow`] goes from noise to data and back along one curve, as exactly as it is
//!   told to; [`slerp`] goes from one noise to another;
//! * [`Likelihood`] says how likely x is, and [`Quantized`] turns that into bits a dimension;
//! * [`VariationalBound`] bounds the same for the chain of a β table.

mod bound;
mod corrector;
mod dormand_prince;
mod error;
mod flow;
mod interpolate;
mod langevin;
mod likelihood;
mod pace;
mod path;
mod quantized;
mod reverse_sde;
mod score;
mod state;

pub use bound::{Bound, DataTerm, VariationalBound};
pub use corrector::{CorrectorStep, PredictorCorrector};
pub use error::ScoreError;
pub use flow::{ProbabilityFlow, Solution};
pub use interpolate::slerp;
pub use langevin::AnnealedLangevin;
pub use likelihood::{Estimate, Likelihood, Probe};
pub use quantized::Quantized;
pub use reverse_sde::{EulerMaruyama, ReverseDiffusion};
pub use score::score_of;
