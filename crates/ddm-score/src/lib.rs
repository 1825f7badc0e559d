//! The other half of the story: the model as the score, `∇ₓ ln p_t(x)`, the gradient of the
//! log-density of noisy data.

mod corrector;
mod error;
mod langevin;
mod reverse_sde;
mod score;

pub use corrector::{CorrectorStep, PredictorCorrector};
pub use error::ScoreError;
pub use langevin::AnnealedLangevin;
pub use reverse_sde::{EulerMaruyama, ReverseDiffusion};
pub use score::score_of;
