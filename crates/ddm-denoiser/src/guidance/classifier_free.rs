//! Classifier-free guidance.

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};

use super::branches::{Branches, Term};
use super::scale::{at_each, at_start};
use crate::per_sample::times;
use crate::{
    Condition, ConditionalPredictor, Denoised, Denoiser, Model, ModelError, Parameterization,
    Scale, full_precision,
};

/// Classifier-free guidance, with both branches in one batch:
///
/// ```text
/// F = F(x, t, ∅) + s (F(x, t, c) − F(x, t, ∅))
/// ```
///
/// s = 0 is the unconditional network and s = 1 the plain conditional one (neither costs a second
/// branch). s > 1 follows the condition more strongly at the cost of variety. The [`Scale`] s is a
/// number, an [`Interval`](crate::Interval) of levels, or a closure. ∅ is the condition used in
/// training when conditions were dropped. Another condition in its place is a *negative prompt*,
/// from which x is guided away. Guiding F guides x̂₀ in the same way, since x̂₀ is linear in F at a
/// given x, whatever F predicts. The guided score is `∇ ln p(x) + s ∇ ln p(c | x)`.
///
/// The network's output beyond the channels of x, such as the second half of a
/// [learned variance](Model::learned_variance), is that of the conditional branch (of ∅ where
/// s = 0). Source: Ho & Salimans, *Classifier-Free Diffusion Guidance*, eq. 6,
/// arXiv 2207.12598; their w is s − 1.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use ddm_denoiser::{ClassifierFree, ConditionalPredictor, Denoiser, Interval, Model, X0Prediction};
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
/// let scale = Interval::new(7.5, 0.2..=5.0)?;
/// let guided = ClassifierFree::new(model, label(3), label(1), scale)?;
/// let x0_at = |sigma| {
///     let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma };
///     guided.denoise(Tensor::zeros([1], &device), at).into_scalar::<f32>()
/// };
/// assert_eq!((x0_at(1.0), x0_at(0.1)), (1.0 + 7.5 * (3.0 - 1.0), 3.0));
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[doc(alias = "CFG")]
#[doc(alias = "negative prompt")]
#[derive(Clone, Debug)]
pub struct ClassifierFree<M, C, S = f64> {
    model: M,
    condition: C,
    null: C,
    scale: S,
    rescale: f64,
}

impl<M, C: Condition, S: Scale> ClassifierFree<M, C, S> {
    /// Guides `model`, a [`Model`] of a [`ConditionalPredictor`], towards `condition` and away from
    /// `null`, with one row per sample in both.
    ///
    /// # Errors
    /// Returns an error if the scale is not finite, or if the conditions differ in batch size or
    /// shape.
    pub fn new(model: M, condition: C, null: C, scale: S) -> Result<Self, ModelError> {
        scale.check()?;
        ModelError::require_batch("the null condition", null.batch(), condition.batch())?;
        null.joins(&condition)?;
        Ok(Self { model, condition, null, scale, rescale: 0.0 })
    }

    /// Sets how far the std of the guided F is rescaled towards that of the conditional one, per
    /// sample: φ in [0, 1], by default 0, which changes nothing.
    ///
    /// ```text
    /// F ← φ F std(F(c))/std(F) + (1 − φ) F
    /// ```
    ///
    /// The std is over all axes but the first. F is unchanged where it is constant and where s = 0.
    /// Strong guidance overexposes images, most of all on schedules that end without signal, which
    /// this corrects; φ = 0.7 is usual. Unlike guidance itself it depends on the quantity F
    /// predicts: v in the paper. Source: Lin et al., *Common Diffusion Noise Schedules and Sample
    /// Steps are Flawed*, eq. 14–16, arXiv 2305.08891.
    ///
    /// # Errors
    /// Returns an error if φ is outside [0, 1].
    #[doc(alias = "guidance_rescale")]
    pub fn rescale(self, phi: f64) -> Result<Self, ModelError> {
        let good = (0.0..=1.0).contains(&phi);
        Invalid::require(good, "the guidance's rescale", phi, "in [0, 1]")?;
        Ok(Self { rescale: phi, ..self })
    }
}

impl<const D: usize, N: ConditionalPredictor<D>, P: Parameterization, S: Scale> Denoiser<D>
    for ClassifierFree<Model<N, P>, N::Condition, S>
{
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let x = full_precision(x);
        let scales = at_each(&self.scale, at);
        // At s = 0 there is no conditional branch, at s = 1 it is F itself.
        let phi = |&scale: &f64| if scale == 0.0 || scale == 1.0 { 0.0 } else { self.rescale };
        let phi: Vec<f64> = scales.iter().map(phi).collect();
        let term = Term { condition: &self.condition, weights: scales };
        let mut branches = Branches::of(&self.model, &x, at, &self.null, [term]);
        if phi.iter().any(|&phi| phi != 0.0) {
            branches.guided = rescaled(branches.guided, branches.first.clone(), &phi);
        }
        self.model.denoised(x, branches.output(), at)
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        at_start(&self.scale, noisiest)?;
        self.model.check_with(x, noisiest, &self.condition)?;
        self.model.network.check_with(x.dims(), &self.null)
    }
}

/// `φ F std(F_c)/std(F) + (1 − φ) F`, or F where it is constant up to rounding.
fn rescaled<const D: usize>(guided: Tensor<D>, like: Tensor<D>, phi: &[f64]) -> Tensor<D> {
    let (std, size) = std_and_size(guided.clone());
    let (wanted, _) = std_and_size(like);
    // A constant has a std of about 1e-7 of its size in f32, by rounding alone.
    let constant = std.clone().lower_equal(size * 1e-5);
    let ratio = (wanted / std).mask_fill(constant, 1.0);
    guided * (times(ratio - 1.0, phi) + 1.0)
}

/// The standard deviation of each sample and its root mean square, `[batch, 1, …]`.
fn std_and_size<const D: usize>(x: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let mut shape = [1; D];
    shape[0] = x.dims()[0];
    let rows: Tensor<2> = x.reshape([shape[0] as i64, -1]);
    let std = rows.clone().var_bias(1).sqrt();
    (std.reshape(shape), rows.square().mean_dim(1).sqrt().reshape(shape))
}
