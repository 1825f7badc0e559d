//! Guidance by several conditions.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use super::branches::{Branches, Term};
use super::scale::{at_each, at_start};
use crate::{
    Condition, ConditionalPredictor, Denoised, Denoiser, Model, ModelError, Parameterization,
    Scale, full_precision,
};

/// Guidance by several conditions, with all branches in one batch:
///
/// ```text
/// F = F(x, t, ∅) + Σ_i w_i (F(x, t, c_i) − F(x, t, ∅))
/// ```
///
/// The conditions are combined as a conjunction ("c₁ and c₂"); a negative weight negates its
/// condition ("and not"). With one condition it is [`ClassifierFree`](crate::ClassifierFree). The
/// network is not called for conditions of weight 0, nor for ∅ where the weights sum to 1. Its
/// output beyond the channels of x is that of the first branch that is called. The guided score is
/// `∇ ln p(x) + Σ_i w_i ∇ ln p(c_i | x)`. Source: Liu et al., *Compositional Visual Generation with
/// Composable Diffusion Models*, eq. 11, arXiv 2206.01714.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use ddm_denoiser::{Composed, ConditionalPredictor, Denoiser, Model, X0Prediction};
/// use ddm_schedule::NoiseLevel;
/// /// Returns its label.
/// struct Label;
/// impl ConditionalPredictor<1> for Label {
///     type Condition = Tensor<1, Int>;
///     fn predict_with(&self, _: Tensor<1>, _: Tensor<1>, label: Tensor<1, Int>) -> Tensor<1> {
///         label.float()
///     }
/// }
/// let device = Device::flex();
/// let label = |label: i32| Tensor::<1, Int>::from_data([label], &device);
/// let model = Model::new(Label, X0Prediction);
/// let both = Composed::new(model, label(1), [(label(3), 2.0), (label(4), -0.5)])?;
/// let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 1.0 };
/// let x0 = both.denoise(Tensor::zeros([1], &device), at);
/// assert_eq!(x0.into_scalar::<f32>(), 1.0 + 2.0 * (3.0 - 1.0) - 0.5 * (4.0 - 1.0));
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[doc(alias = "composable diffusion")]
#[doc(alias = "negative prompt")]
#[derive(Clone, Debug)]
pub struct Composed<M, C, S = f64> {
    model: M,
    null: C,
    terms: Vec<(C, S)>,
}

impl<M, C: Condition, S: Scale> Composed<M, C, S> {
    /// Guides `model`, a [`Model`] of a [`ConditionalPredictor`], from `null` towards weighted
    /// conditions, with one row per sample in all of them. The weights are [`Scale`]s of one type:
    /// numbers, boxed closures, or intervals, which usually are 0
    /// [outside](crate::Interval::outside).
    ///
    /// # Errors
    /// Returns an error if a weight is not finite, or if the conditions differ in batch size or
    /// shape.
    pub fn new(
        model: M,
        null: C,
        conditions: impl IntoIterator<Item = (C, S)>,
    ) -> Result<Self, ModelError> {
        let terms: Vec<(C, S)> = conditions.into_iter().collect();
        for (condition, weight) in &terms {
            weight.check()?;
            ModelError::require_batch("a condition", condition.batch(), null.batch())?;
            condition.joins(&null)?;
        }
        Ok(Self { model, null, terms })
    }
}

impl<const D: usize, N: ConditionalPredictor<D>, P: Parameterization, S: Scale> Denoiser<D>
    for Composed<Model<N, P>, N::Condition, S>
{
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let x = full_precision(x);
        let term = |(condition, weight)| Term { condition, weights: at_each(weight, at) };
        let terms = self.terms.iter().map(|(condition, weight)| term((condition, weight)));
        let branches = Branches::of(&self.model, &x, at, &self.null, terms);
        self.model.denoised(x, branches.output(), at)
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.model.check_with(x, noisiest, &self.null)?;
        self.terms.iter().try_for_each(|(condition, weight)| {
            at_start(weight, noisiest)?;
            self.model.network.check_with(x.dims(), condition)
        })
    }
}
