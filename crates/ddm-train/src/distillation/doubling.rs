//! The discretization of improved consistency training (iCT).

use ddm_schedule::{Invalid, NoiseLevel, NoiseSchedule};
use statrs::distribution::{ContinuousCDF, Normal};

use super::discretization::{Discretization, LevelPair, level_of};
use crate::times::require_normal;

/// The discretization of improved consistency training: the number of steps doubles while training, and
/// levels are log-normal.
///
/// In step k of K there are N = `min(s₀ 2^⌊k/K′⌋, s₁) + 1` levels, `K′ = ⌊K/(log₂⌊s₁/s₀⌋ + 1)⌋`, from σ_min
/// to σ_max, spaced as those of Karras et al. with ρ. Pairs of neighbours have the probability of
/// `ln σ ~ N(mean, std²)` between them, and the weight `1/(σ_{i+1} − σ_i)`. Defaults of the paper: s₀ = 10,
/// s₁ = 1280, σ from 0.002 to 80, ρ = 7, mean −1.1, std 2 (for data of standard deviation 0.5). σ is σ/α on
/// schedules that scale the data. Source: Song & Dhariwal, *Improved Techniques for Training Consistency
/// Models*, sec. 3.4, 3.5 and table 1, arXiv 2310.14189.
///
/// ```
/// use ddm_train::DoublingSteps;
/// let discretization = DoublingSteps::new(400_000)?; // 8 stages of 50,000 steps
/// assert_eq!(discretization.levels(1), 11);
/// assert_eq!(discretization.levels(50_001), 21);
/// assert_eq!(discretization.levels(400_000), 1281);
/// # Ok::<(), ddm_schedule::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoublingSteps {
    stage: usize,
    first: usize,
    last: usize,
    training: usize,
    sigmas: [f64; 2],
    rho: f64,
    mean: f64,
    std: f64,
}

impl DoublingSteps {
    /// Creates the discretization for a training of `training_steps` steps.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no training steps.
    pub fn new(training_steps: usize) -> Result<Self, Invalid> {
        Invalid::require(training_steps > 0, "training steps", 0.0, "at least 1")?;
        let (sigmas, rho, mean, std) = ([0.002, 80.0], 7.0, -1.1, 2.0);
        let (stage, first, last) = (1, 1, 1);
        Self { stage, first, last, training: training_steps, sigmas, rho, mean, std }
            .steps(10, 1280)
    }

    /// Sets the number of steps between levels at the start and at the end, s₀ and s₁.
    ///
    /// # Errors
    ///
    /// Returns an error unless 1 ≤ s₀ ≤ s₁.
    pub fn steps(self, first: usize, last: usize) -> Result<Self, Invalid> {
        Invalid::require(first > 0, "s0", first as f64, "at least 1")?;
        Invalid::require(first <= last, "s1", last as f64, "at least s0")?;
        let stages = (last / first).ilog2() as usize + 1;
        Ok(Self { stage: (self.training / stages).max(1), first, last, ..self })
    }

    /// Sets the least and the greatest σ/α. The schedule must have them.
    ///
    /// # Errors
    ///
    /// Returns an error unless 0 < σ_min < σ_max, both finite.
    pub fn sigmas(self, min: f64, max: f64) -> Result<Self, Invalid> {
        Invalid::require(min > 0.0 && min.is_finite(), "sigma_min", min, "finite and above 0")?;
        Invalid::require(
            max > min && max.is_finite(),
            "sigma_max",
            max,
            "finite and above sigma_min",
        )?;
        Ok(Self { sigmas: [min, max], ..self })
    }

    /// Sets the mean and the standard deviation of `ln σ`.
    ///
    /// # Errors
    ///
    /// Returns an error if the mean is not finite, or the std is not finite and above 0.
    pub fn log_normal(self, mean: f64, std: f64) -> Result<Self, Invalid> {
        require_normal(mean, std)?;
        Ok(Self { mean, std, ..self })
    }

    /// Returns the number of levels N in a training step, counted from 1.
    pub fn levels(&self, step: usize) -> usize {
        let doublings = (step.saturating_sub(1) / self.stage).min(usize::BITS as usize) as u32;
        let steps = self.first.checked_mul(1_usize.checked_shl(doublings).unwrap_or(usize::MAX));
        steps.unwrap_or(usize::MAX).min(self.last) + 1
    }

    /// Returns σ_i of N levels, i from 0 to N − 1; the ends exactly.
    fn sigma(&self, i: usize, levels: usize) -> f64 {
        let ([min, max], last) = (self.sigmas, levels - 1);
        match i {
            0 => min,
            i if i == last => max,
            i => {
                let [low, high] = self.roots();
                (low + i as f64 / last as f64 * (high - low)).powf(self.rho)
            }
        }
    }

    fn roots(&self) -> [f64; 2] {
        self.sigmas.map(|sigma| sigma.powf(self.rho.recip()))
    }
}

impl Discretization for DoublingSteps {
    /// The probabilities of the paper, differences of the normal distribution between neighbours, add up:
    /// the pair is the interval of a σ from the normal distribution cut at both ends.
    fn pair(&self, u: f64, step: usize, schedule: &dyn NoiseSchedule) -> LevelPair {
        let levels = self.levels(step);
        let normal = Normal::standard();
        let ends = self.sigmas.map(|sigma| normal.cdf((sigma.ln() - self.mean) / self.std));
        let z = normal.inverse_cdf(ends[0] + u * (ends[1] - ends[0]));
        let sigma = (self.mean + self.std * z).exp();
        let [low, high] = self.roots();
        let place = (sigma.powf(self.rho.recip()) - low) / (high - low) * (levels - 1) as f64;
        let i = (place.max(0.0) as usize).min(levels - 2);
        let [to, from] = [i, i + 1].map(|i| level_of(self.sigma(i, levels), schedule));
        LevelPair { from, to }
    }

    fn lowest(&self, schedule: &dyn NoiseSchedule) -> NoiseLevel {
        level_of(self.sigmas[0], schedule)
    }
}
