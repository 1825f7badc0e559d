//! Condition dropout in training, for classifier-free guidance.

use ddm_denoiser::Condition;
use ddm_noise::NoiseSource;
use ddm_schedule::Invalid;

use crate::TrainError;

/// Condition dropout: it replaces each sample's condition by the null condition with probability p.
///
/// A network trained with it learns both `F(x, t, c)` and `F(x, t, ∅)`, which
/// [`ClassifierFree`](ddm_denoiser::ClassifierFree) needs. Usual: p = 0.1 to 0.2.
/// Source: Ho & Salimans, algorithm 1, arXiv 2207.12598.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConditionDropout {
    probability: f64,
}

impl ConditionDropout {
    /// Creates a dropout of probability p in [0, 1].
    ///
    /// # Errors
    ///
    /// Returns an error if the probability is out of range.
    pub fn new(probability: f64) -> Result<Self, TrainError> {
        let holds = (0.0..=1.0).contains(&probability);
        Invalid::require(holds, "condition dropout", probability, "in [0, 1]")?;
        Ok(Self { probability })
    }

    /// Returns `condition` with randomly chosen rows replaced by those of `null`; one uniform draw.
    ///
    /// # Errors
    ///
    /// Returns an error if the noise cannot be read.
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
