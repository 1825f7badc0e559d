//! Dropping conditions while training, for classifier-free guidance.

use ddm_denoiser::Condition;
use ddm_noise::NoiseSource;
use ddm_schedule::Invalid;

use crate::TrainError;

/// Replaces each sample's condition by the null condition with probability p.
///
/// A network trained so knows both `F(x, t, c)` and `F(x, t, ∅)`, which
/// [`ClassifierFree`](ddm_denoiser::ClassifierFree) needs. Usual: p = 0.1 to 0.2.
/// Source: Ho & Salimans, algorithm 1, arXiv 2207.12598.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConditionDropout {
    probability: f64,
}

impl ConditionDropout {
    /// With probability p in [0, 1].
    ///
    /// # Errors
    /// A probability outside this range.
    pub fn new(probability: f64) -> Result<Self, TrainError> {
        let holds = (0.0..=1.0).contains(&probability);
        Invalid::require(holds, "condition dropout", probability, "in [0, 1]")?;
        Ok(Self { probability })
    }

    /// `condition`, with the rows that fall to chance taken from `null`; one uniform draw.
    ///
    /// # Errors
    /// Where the noise cannot be read.
    pub fn apply<C: Condition>(
        &self,
        condition: C,
        null: C,
        noise: &mut impl NoiseSource,
    ) -> Result<C, TrainError> {
        let uniform = noise.uniform(condition.batch())?;
        let dropped: Vec<bool> = uniform.iter().map(|&u| u < self.probability).collect();
        Ok(condition.replaced(null, &dropped))
    }
}
