//! The discretization of consistency tuning (ECT).

use ddm_schedule::{Invalid, NoiseLevel, NoiseSchedule};

use super::discretization::{Discretization, LevelPair, level_of};
use crate::times::{normal, require_normal};

/// The discretization of easy consistency tuning: log-normal levels, and a gap to the less noisy one that
/// shrinks while training, from all the way to the data.
///
/// With `s = σ/α` of the noisier level, `ln s ~ N(mean, std²)`, and r of the other,
///
/// ```text
/// r = s max(0, 1 − n(s)/qᵃ),   n(s) = 1 + k/(1 + e^(b s)),   a = 1 + ⌊step/d⌋
/// ```
///
/// so that the first steps, with r = 0 at low noise, are near those of a diffusion model: a trained
/// diffusion model is tuned, with v, flow or EDM prediction, which are the identity at r = 0. The weight is
/// `1/(s − r)`. Defaults: q = 2, k = 8, b = 1, mean −1.1, std 2 (for data of standard deviation 0.5), and
/// a stops at 8, where r = s (1 − n/256). Source: Geng et al., *Consistency Models Made Easy*, sec. 3,
/// arXiv 2406.14548.
///
/// ```
/// use ddm_schedule::Edm;
/// use ddm_train::{Discretization, ShrinkingGap};
/// let discretization = ShrinkingGap::new(1000)?; // halves the gap every 1000 steps
/// let pair = |step| discretization.pair(0.5, step, &Edm::default());
/// assert!(pair(1).to.sigma == 0.0 && pair(5000).to.sigma > 0.8 * pair(5000).from.sigma);
/// # Ok::<(), ddm_schedule::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShrinkingGap {
    every: usize,
    base: f64,
    stages: usize,
    mean: f64,
    std: f64,
}

impl ShrinkingGap {
    /// k and b of n(s).
    const SHAPE: (f64, f64) = (8.0, 1.0);

    /// Creates the discretization whose gap shrinks every `steps` training steps, d.
    ///
    /// # Errors
    ///
    /// Returns an error if `steps` is 0.
    pub fn new(steps: usize) -> Result<Self, Invalid> {
        Invalid::require(steps > 0, "the steps of a stage", 0.0, "at least 1")?;
        Ok(Self { every: steps, base: 2.0, stages: 8, mean: -1.1, std: 2.0 })
    }

    /// Sets the factor q > 1 by which the gap shrinks, and the number of times that it does, the greatest a.
    ///
    /// # Errors
    ///
    /// Returns an error if q is not above 1, or the least gap, `q^(−stages)`, is below 10⁻⁶ of the noise:
    /// single precision could not tell the two levels apart.
    pub fn shrinking(self, base: f64, stages: usize) -> Result<Self, Invalid> {
        Invalid::require(base > 1.0 && base.is_finite(), "q", base, "finite and above 1")?;
        let least = base.powf(-(stages as f64));
        Invalid::require(least >= 1e-6, "the least gap, q^(-stages)", least, "at least 1e-6")?;
        Ok(Self { base, stages, ..self })
    }

    /// Sets the mean and the standard deviation of `ln s`.
    ///
    /// # Errors
    ///
    /// Returns an error if the mean is not finite, or the std is not finite and above 0.
    pub fn log_normal(self, mean: f64, std: f64) -> Result<Self, Invalid> {
        require_normal(mean, std)?;
        Ok(Self { mean, std, ..self })
    }

    /// Returns r/s at a ratio s = σ/α, in a training step counted from 1.
    pub fn share(&self, s: f64, step: usize) -> f64 {
        let stage = (1 + step.saturating_sub(1) / self.every).min(self.stages);
        let (k, b) = Self::SHAPE;
        let n = 1.0 + k / (1.0 + (b * s).exp());
        (1.0 - n * self.base.powf(-(stage as f64))).max(0.0)
    }
}

impl Discretization for ShrinkingGap {
    fn pair(&self, u: f64, step: usize, schedule: &dyn NoiseSchedule) -> LevelPair {
        let from = level_of(normal(u, self.mean, self.std).exp(), schedule);
        // Of the level that the schedule has, if its range is smaller.
        let ratio = from.sigma / from.alpha;
        let share = self.share(ratio, step);
        LevelPair { from, to: level_of(share * ratio, schedule) }
    }

    fn lowest(&self, schedule: &dyn NoiseSchedule) -> NoiseLevel {
        level_of(0.0, schedule)
    }
}
