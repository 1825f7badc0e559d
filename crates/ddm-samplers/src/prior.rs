//! The starting distribution of a run, for data of any mean and variance.

use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

/// The mean and standard deviation of the data, which determine the start of a run:
///
/// ```text
/// x = α m + √(α² s² + σ²) z
/// ```
///
/// Schedules are designed for the default, mean 0 and std 1; latents may have others. It matters if
/// the schedule leaves signal at its end (α > 0).
///
/// ```
/// use ddm_samplers::Prior;
/// use ddm_schedule::NoiseLevel;
/// let prior = Prior::new(2.0, 0.5)?;
/// let at = NoiseLevel { timestep: 0.0, alpha: 0.6, sigma: 0.4 };
/// assert_eq!((prior.mean_at(at), prior.std_at(at)), (1.2, 0.5));
/// assert!(Prior::new(0.0, -1.0).is_err());
/// # Ok::<(), ddm_schedule::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Prior {
    mean: f64,
    std: f64,
}

impl Prior {
    /// Creates the prior of data with this mean and standard deviation.
    ///
    /// # Errors
    /// Returns an error if the mean is not finite, or if the standard deviation is not finite and
    /// at least 0.
    pub fn new(mean: f64, std: f64) -> Result<Self, Invalid> {
        Invalid::require(mean.is_finite(), "the prior's mean", mean, "finite")?;
        let good = std.is_finite() && std >= 0.0;
        Invalid::require(good, "the prior's std", std, "finite and at least 0")?;
        Ok(Self { mean, std })
    }

    /// Returns the mean of x at a level, α m.
    pub fn mean_at(&self, at: NoiseLevel) -> f64 {
        at.alpha * self.mean
    }

    /// Returns the standard deviation of x at a level, √(α² s² + σ²).
    pub fn std_at(&self, at: NoiseLevel) -> f64 {
        (at.alpha * self.std).hypot(at.sigma)
    }
}

/// Mean 0, standard deviation 1.
impl Default for Prior {
    fn default() -> Self {
        Self { mean: 0.0, std: 1.0 }
    }
}

#[derive(Deserialize)]
struct Raw {
    mean: f64,
    std: f64,
}

impl TryFrom<Raw> for Prior {
    type Error = Invalid;
    fn try_from(raw: Raw) -> Result<Self, Invalid> {
        Self::new(raw.mean, raw.std)
    }
}
