//! Classifier-free guidance.

use burn::tensor::{DType, FloatDType, Tensor};
use ddm_schedule::{Invalid, NoiseLevel};

use super::branches::{Term, ask};
use super::scale::{at_each, at_start};
use crate::per_sample::times;
use crate::{Condition, ConditionalPredictor, ModelError, Network, Scale};

/// Classifier-free guidance, both branches in one batch:
///
/// ```text
/// F = F(x, t, ∅) + s (F(x, t, c) − F(x, t, ∅))
/// ```
///
/// s = 0 is the unconditional network and s = 1 the plain conditional one (neither costs a second
/// branch), s > 1 follows the condition more strongly at the price of variety. The [`Scale`] s is a
/// number, an [`Interval`](crate::Interval) of levels, or a closure. ∅ is the condition the network
/// saw when conditions were dropped in training; another condition in its place is a *negative
/// prompt*, away from which x is led. Guiding F guides x̂₀ alike, since x̂₀ is linear in F at a given
/// x, whatever F predicts; and it is guiding the score: `∇ ln p(x) + s ∇ ln p(c | x)`.
///
/// What the network answers beyond the channels of x, such as the second half of a
/// [learned variance](crate::LearnedVariance), is taken from the conditional branch as it is (from
/// ∅ where s = 0). Source: Ho & Salimans, *Classifier-Free Diffusion Guidance*, eq. 6,
/// arXiv 2207.12598; their w is s − 1.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use ddm_denoiser::{ClassifierFree, ConditionalPredictor, Denoiser, Interval, Model, X0Prediction};
/// use ddm_schedule::NoiseLevel;
/// /// Answers its label.
/// struct Label;
/// impl ConditionalPredictor<1> for Label {
///     type Condition = Tensor<1, Int>;
///     fn predict_with(&self, _: Tensor<1>, _: Tensor<1>, label: Tensor<1, Int>) -> Tensor<1> {
///         label.float()
///     }
/// }
/// let device = Device::flex();
/// let label = |label: i32| Tensor::<1, Int>::from_data([label], &device);
/// let guided = ClassifierFree::new(Label, label(3), label(1), Interval::new(7.5, 0.2..=5.0)?)?;
/// let model = Model::new(guided, X0Prediction);
/// let x0_at = |sigma| {
///     let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma };
///     model.denoise(Tensor::zeros([1], &device), at).into_scalar::<f32>()
/// };
/// assert_eq!((x0_at(1.0), x0_at(0.1)), (1.0 + 7.5 * (3.0 - 1.0), 3.0));
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[doc(alias = "CFG")]
#[doc(alias = "negative prompt")]
#[derive(Clone, Debug)]
pub struct ClassifierFree<N, C, S = f64> {
    network: N,
    condition: C,
    null: C,
    scale: S,
    rescale: f64,
}

impl<N, C: Condition, S: Scale> ClassifierFree<N, C, S> {
    /// Guides `network` towards `condition` and away from `null`, one entry a sample in both.
    pub fn new(network: N, condition: C, null: C, scale: S) -> Result<Self, ModelError> {
        scale.check()?;
        ModelError::require_batch("the null condition", null.batch(), condition.batch())?;
        null.joins(&condition)?;
        Ok(Self { network, condition, null, scale, rescale: 0.0 })
    }

    /// Brings the spread of the guided F back towards that of the conditional one, sample by
    /// sample: φ in [0, 1], 0 for not at all.
    ///
    /// ```text
    /// F ← φ F std(F(c))/std(F) + (1 − φ) F
    /// ```
    ///
    /// The std is over all axes but the first; where F is constant it stays, as it does where
    /// s = 0. Strong guidance overexposes images, most so on schedules that end without signal,
    /// and this is against it; φ = 0.7 is usual. Unlike guidance itself it depends on what F
    /// predicts: the paper's v. Source: Lin et al., *Common Diffusion Noise Schedules and Sample
    /// Steps are Flawed*, eq. 14–16, arXiv 2305.08891.
    #[doc(alias = "guidance_rescale")]
    pub fn rescale(self, phi: f64) -> Result<Self, ModelError> {
        if (0.0..=1.0).contains(&phi) {
            return Ok(Self { rescale: phi, ..self });
        }
        let what = "the guidance's rescale";
        Err(Invalid { name: what, value: phi, allowed: "in [0, 1]" }.into())
    }
}

impl<const D: usize, N: ConditionalPredictor<D>, S: Scale> Network<D>
    for ClassifierFree<N, N::Condition, S>
{
    fn answer(&self, x: Tensor<D>, t: Tensor<1>, at: &[NoiseLevel]) -> Tensor<D> {
        let scales = at_each(&self.scale, at);
        // At s = 0 the conditional branch is not asked, at s = 1 it is F itself.
        let phi = |&scale: &f64| if scale == 0.0 || scale == 1.0 { 0.0 } else { self.rescale };
        let phi: Vec<f64> = scales.iter().map(phi).collect();
        let term = Term { condition: &self.condition, weights: scales };
        let mut answer = ask(&self.network, (x, t), &self.null, [term]);
        if phi.iter().any(|&phi| phi != 0.0) {
            answer.guided = rescaled(answer.guided, answer.first.clone(), &phi);
        }
        answer.whole()
    }

    fn check_run(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        at_start(&self.scale, noisiest)?;
        ModelError::require_batch("the condition", self.condition.batch(), shape[0])?;
        self.network.check_with(shape, &self.condition)?;
        self.network.check_with(shape, &self.null)
    }
}

/// `φ F std(F_c)/std(F) + (1 − φ) F`.
fn rescaled<const D: usize>(guided: Tensor<D>, like: Tensor<D>, phi: &[f64]) -> Tensor<D> {
    let (std, wanted) = (std_each(guided.clone()), std_each(like));
    let constant = std.clone().equal_elem(0.0);
    let ratio = (wanted / std).mask_fill(constant, 1.0);
    guided.clone() * (times(ratio - 1.0, phi) + 1.0).cast(guided.dtype())
}

/// The standard deviation of each sample, `[batch, 1, …]`; in f32 where x is in less.
fn std_each<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = x.dims()[0];
    let x = match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(FloatDType::F32),
        _ => x,
    };
    let rows: Tensor<2> = x.reshape([shape[0] as i64, -1]);
    rows.var_bias(1).sqrt().reshape(shape)
}
