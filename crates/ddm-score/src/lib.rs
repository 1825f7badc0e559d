//! The other half of the story: the model as the score, `∇ₓ ln p_t(x)`, the gradient of the
//! log-density of noisy data.

mod error;

pub use error::ScoreError;
