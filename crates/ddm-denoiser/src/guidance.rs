//! Classifier-free guidance.

use burn::tensor::Tensor;

use crate::{Condition, ConditionalPredictor, ModelError, NoisePredictor};

/// Classifier-free guidance: `F = F(x, t, ∅) + s (F(x, t, c) − F(x, t, ∅))`, both in one batch.
///
/// s = 0 ignores the condition, s = 1 is the plain conditional network (and costs no second
/// branch), s > 1 follows it more strongly at the price of variety. ∅ is the condition the network
/// saw when conditions were dropped in training; another condition in its place is a negative
/// prompt. Guiding F guides x̂₀ alike, since x̂₀ is linear in F at a given x, whatever F predicts.
/// Source: Ho & Salimans, *Classifier-Free Diffusion Guidance*, eq. 6, arXiv 2207.12598; their w is
/// s − 1.
#[derive(Clone, Debug)]
pub struct ClassifierFree<N, C> {
    network: N,
    condition: C,
    null: C,
    scale: f64,
}

impl<N, C: Condition> ClassifierFree<N, C> {
    /// Guides `network` towards `condition` and away from `null`, one entry a sample in both.
    pub fn new(network: N, condition: C, null: C, scale: f64) -> Result<Self, ModelError> {
        if !scale.is_finite() {
            let what = "the guidance scale";
            return Err(ModelError::Setting { what, found: scale, allowed: "finite" });
        }
        ModelError::require_batch("the null condition", null.batch(), condition.batch())?;
        Ok(Self { network, condition, null, scale })
    }
}

impl<const D: usize, N: ConditionalPredictor<D>> NoisePredictor<D>
    for ClassifierFree<N, N::Condition>
{
    fn predict(&self, x: Tensor<D>, t: Tensor<1>) -> Tensor<D> {
        if self.scale == 1.0 {
            return self.network.predict_with(x, t, self.condition.clone());
        }
        let batch = x.dims()[0];
        let both = self.network.predict_with(
            Tensor::cat(vec![x.clone(), x], 0),
            Tensor::cat(vec![t.clone(), t], 0),
            self.condition.clone().followed_by(self.null.clone()),
        );
        let conditional = both.clone().narrow(0, 0, batch);
        let unconditional = both.narrow(0, batch, batch);
        unconditional.clone() + (conditional - unconditional) * self.scale
    }

    fn check(&self, shape: [usize; D]) -> Result<(), ModelError> {
        ModelError::require_batch("the condition", self.condition.batch(), shape[0])?;
        self.network.check_with(shape, &self.condition)
    }
}
