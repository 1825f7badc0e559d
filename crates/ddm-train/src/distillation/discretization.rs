//! The pairs of noise levels that a consistency loss compares.

use ddm_schedule::{Invalid, NoiseLevel, NoiseSchedule};
use serde::{Deserialize, Serialize};

/// Two neighbouring noise levels of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelPair {
    /// The noisier level, at which the network is trained.
    pub from: NoiseLevel,
    /// The less noisy level, at which it gives the target.
    pub to: NoiseLevel,
}

impl LevelPair {
    /// Returns `1/(s_from − s_to)` with s = σ/α; 0 from α = 0.
    pub fn inverse_gap(&self) -> f64 {
        let ratio = |at: NoiseLevel| at.sigma / at.alpha;
        1.0 / (ratio(self.from) - ratio(self.to))
    }
}

/// The rule that chooses the [`LevelPair`] of a sample, and its weight, in each training step.
///
/// [`FixedSteps`] is that of consistency models, [`DoublingSteps`](crate::DoublingSteps) that of their
/// improved training (iCT), [`ShrinkingGap`](crate::ShrinkingGap) that of consistency tuning (ECT).
pub trait Discretization: Send + Sync {
    /// Returns the pair for u, uniform on [0, 1), in training step `step`, counted from 1.
    fn pair(&self, u: f64, step: usize, schedule: &dyn NoiseSchedule) -> LevelPair;

    /// Returns the least noisy level that is in a pair, where the consistency function is the identity.
    fn lowest(&self, schedule: &dyn NoiseSchedule) -> NoiseLevel;

    /// Returns the weight of a pair: by default [`LevelPair::inverse_gap`].
    fn weight(&self, pair: &LevelPair) -> f64 {
        pair.inverse_gap()
    }
}

/// The discretization of consistency models: pairs of neighbours among n + 1 fixed levels, all equally
/// likely and of weight 1.
///
/// The levels are at the times 0, 1/n, …, 1 of the schedule: on [`Edm`](ddm_schedule::Edm), those of
/// Karras et al. from 80 to 0.002 with ρ = 7, as in the paper (n = 17 for CIFAR-10 by distillation).
/// Source: Song et al., *Consistency Models*, algorithms 2 and 3, arXiv 2303.01469.
///
/// ```
/// use ddm_schedule::Edm;
/// use ddm_train::{Discretization, FixedSteps};
/// let pair = FixedSteps::new(17)?.pair(0.99, 1, &Edm::default());
/// assert_eq!(pair.from.sigma, 80.0);
/// # Ok::<(), ddm_schedule::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Steps")]
pub struct FixedSteps {
    steps: usize,
}

impl FixedSteps {
    /// Creates the discretization of `steps` steps between neighbouring levels.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no steps.
    pub fn new(steps: usize) -> Result<Self, Invalid> {
        Invalid::require(steps > 0, "the steps of the discretization", 0.0, "at least 1")?;
        Ok(Self { steps })
    }
}

impl Discretization for FixedSteps {
    fn pair(&self, u: f64, _: usize, schedule: &dyn NoiseSchedule) -> LevelPair {
        let count = self.steps as f64;
        let step = (u * count).floor().min(count - 1.0);
        LevelPair { from: schedule.level((step + 1.0) / count), to: schedule.level(step / count) }
    }

    fn lowest(&self, schedule: &dyn NoiseSchedule) -> NoiseLevel {
        schedule.level(0.0)
    }

    fn weight(&self, _: &LevelPair) -> f64 {
        1.0
    }
}

/// Returns the level of a schedule with σ/α = `ratio`; at 0 without noise.
pub(super) fn level_of(ratio: f64, schedule: &dyn NoiseSchedule) -> NoiseLevel {
    match ratio {
        0.0 => NoiseLevel { sigma: 0.0, ..schedule.level(0.0) },
        ratio => schedule.level_at(-ratio.ln()),
    }
}

#[derive(Deserialize)]
struct Steps {
    steps: usize,
}

impl TryFrom<Steps> for FixedSteps {
    type Error = Invalid;
    fn try_from(raw: Steps) -> Result<Self, Invalid> {
        Self::new(raw.steps)
    }
}
