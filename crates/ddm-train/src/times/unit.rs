//! Distributions of the schedule's time.

use std::f64::consts::{FRAC_PI_2, PI};

use ddm_schedule::{Invalid, NoiseSchedule};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::TimeSampling;

/// The uniform distribution on [0, 1), the default: all rows of a table are equally likely.
///
/// Source: Ho et al., algorithm 1, arXiv 2006.11239.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniformTime;

impl TimeSampling for UniformTime {
    fn time(&self, u: f64, _: &dyn NoiseSchedule) -> f64 {
        u
    }
}

/// A distribution with low discrepancy: `uᵢ = (u₀ + i/B) mod 1` for a batch of B.
///
/// Each example keeps the inner distribution, but the batch covers it evenly, so the loss has less
/// variance. Source: Kingma et al., *Variational Diffusion Models*, app. I.1,
/// arXiv 2107.00630.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stratified<T = UniformTime>(pub T);

impl<T: TimeSampling> TimeSampling for Stratified<T> {
    fn time(&self, u: f64, schedule: &dyn NoiseSchedule) -> f64 {
        self.0.time(u, schedule)
    }
    fn importance(&self, time: f64) -> f64 {
        self.0.importance(time)
    }
    fn spread(&self, mut uniform: Vec<f64>) -> Vec<f64> {
        let (first, batch) = (uniform.first().copied().unwrap_or(0.0), uniform.len() as f64);
        for (i, u) in uniform.iter_mut().enumerate() {
            *u = (first + i as f64 / batch).fract();
        }
        uniform
    }
}

/// The logit-normal distribution: `t = 1/(1 + e^(−z))`, `z ~ N(mean, std²)`. Default: mean 0 and
/// std 1, as in Stable Diffusion 3.
///
/// A mean above 0 favors higher noise. Source: Esser et al., *Scaling Rectified Flow Transformers
/// for High-Resolution Image Synthesis*, eq. 19, arXiv 2403.03206.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MeanAndStd")]
pub struct LogitNormal {
    mean: f64,
    std: f64,
}

impl LogitNormal {
    /// Creates the distribution from the mean and std of the logit of t.
    ///
    /// # Errors
    ///
    /// Returns an error if the mean is not finite, or the std is not finite and above 0.
    pub fn new(mean: f64, std: f64) -> Result<Self, Invalid> {
        require_normal(mean, std)?;
        Ok(Self { mean, std })
    }

    /// Returns the density π(t); 0 at both ends.
    pub(crate) fn density(&self, t: f64) -> f64 {
        if t <= 0.0 || t >= 1.0 {
            return 0.0;
        }
        let z = ((t / (1.0 - t)).ln() - self.mean) / self.std;
        (-0.5 * z * z).exp() / (self.std * (2.0 * PI).sqrt() * t * (1.0 - t))
    }
}

impl Default for LogitNormal {
    fn default() -> Self {
        Self { mean: 0.0, std: 1.0 }
    }
}

impl TimeSampling for LogitNormal {
    fn time(&self, u: f64, _: &dyn NoiseSchedule) -> f64 {
        1.0 / (1.0 + (-normal(u, self.mean, self.std)).exp())
    }
}

/// The mode distribution: `t = 1 − u − s (cos²(π u/2) − 1 + u)`. s > 0 favors the middle, s < 0 the
/// ends. Default: s = 1.29.
///
/// Source: Esser et al., *Scaling Rectified Flow Transformers for High-Resolution Image Synthesis*,
/// eq. 20, arXiv 2403.03206.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Scale")]
pub struct Mode {
    scale: f64,
}

impl Mode {
    /// Creates the distribution of scale s, from −1 to 2/(π − 2), where t falls with u.
    ///
    /// # Errors
    ///
    /// Returns an error if the scale is out of range.
    pub fn new(scale: f64) -> Result<Self, Invalid> {
        let holds = (-1.0..=1.0 / (FRAC_PI_2 - 1.0)).contains(&scale);
        Invalid::require(holds, "mode scale", scale, "from -1 to 2/(pi - 2)")?;
        Ok(Self { scale })
    }
}

impl Default for Mode {
    fn default() -> Self {
        Self { scale: 1.29 }
    }
}

impl TimeSampling for Mode {
    fn time(&self, u: f64, _: &dyn NoiseSchedule) -> f64 {
        1.0 - u - self.scale * ((FRAC_PI_2 * u).cos().powi(2) - 1.0 + u)
    }
}

/// The cosine map: `t = 1 − 1/(tan(π u/2) + 1)`, whose log signal-to-noise ratio on the straight path
/// has the distribution of that of the cosine schedule.
///
/// Its density `2/(π − 2πt + 2πt²)` is 4/π in the middle and 2/π at the ends. Source: Esser et al.,
/// *Scaling Rectified Flow Transformers for High-Resolution Image Synthesis*, eq. 21–22,
/// arXiv 2403.03206.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CosMap;

impl CosMap {
    /// Returns the density π(t).
    pub(crate) fn density(self, t: f64) -> f64 {
        2.0 / (PI * (1.0 - 2.0 * t + 2.0 * t * t))
    }
}

impl TimeSampling for CosMap {
    fn time(&self, u: f64, _: &dyn NoiseSchedule) -> f64 {
        1.0 - 1.0 / ((FRAC_PI_2 * u).tan() + 1.0)
    }
}

/// Returns the u-quantile of N(mean, std²), u in [0, 1); finite.
pub(crate) fn normal(u: f64, mean: f64, std: f64) -> f64 {
    mean + std * Normal::standard().inverse_cdf(u.clamp(f64::EPSILON, 1.0 - f64::EPSILON))
}

pub(crate) fn require_normal(mean: f64, std: f64) -> Result<(), Invalid> {
    Invalid::require(mean.is_finite(), "mean", mean, "finite")?;
    Invalid::require(std.is_finite() && std > 0.0, "std", std, "finite and above 0")
}

#[derive(Deserialize)]
struct MeanAndStd {
    mean: f64,
    std: f64,
}

impl TryFrom<MeanAndStd> for LogitNormal {
    type Error = Invalid;
    fn try_from(raw: MeanAndStd) -> Result<Self, Invalid> {
        Self::new(raw.mean, raw.std)
    }
}

#[derive(Deserialize)]
struct Scale {
    scale: f64,
}

impl TryFrom<Scale> for Mode {
    type Error = Invalid;
    fn try_from(raw: Scale) -> Result<Self, Invalid> {
        Self::new(raw.scale)
    }
}
