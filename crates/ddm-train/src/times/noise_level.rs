//! A distribution of the noise level.

use ddm_schedule::{Invalid, NoiseSchedule};
use serde::{Deserialize, Serialize};

use super::TimeSampling;
use super::unit::{normal, require_normal};

/// The log-normal distribution of the noise level: `ln σ/α ~ N(mean, std²)` on every schedule.
/// Default: mean −1.2 and std 1.2, for data of standard deviation 0.5.
///
/// Levels beyond the ends of the schedule are clamped to its ends. There is no importance weight:
/// the distribution is part of the objective, like the weighting. Source: Karras et al.,
/// *Elucidating the Design Space of Diffusion-Based Generative Models*, table 1, arXiv 2206.00364.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MeanAndStd")]
pub struct LogNormal {
    mean: f64,
    std: f64,
}

impl LogNormal {
    /// Creates the distribution from the mean and std of `ln σ/α`.
    ///
    /// # Errors
    ///
    /// Returns an error if the mean is not finite, or the std is not finite and above 0.
    pub fn new(mean: f64, std: f64) -> Result<Self, Invalid> {
        require_normal(mean, std)?;
        Ok(Self { mean, std })
    }
}

impl Default for LogNormal {
    fn default() -> Self {
        Self { mean: -1.2, std: 1.2 }
    }
}

impl TimeSampling for LogNormal {
    fn time(&self, u: f64, schedule: &dyn NoiseSchedule) -> f64 {
        schedule.time_at(-normal(u, self.mean, self.std))
    }
}

#[derive(Deserialize)]
struct MeanAndStd {
    mean: f64,
    std: f64,
}

impl TryFrom<MeanAndStd> for LogNormal {
    type Error = Invalid;
    fn try_from(raw: MeanAndStd) -> Result<Self, Invalid> {
        Self::new(raw.mean, raw.std)
    }
}
