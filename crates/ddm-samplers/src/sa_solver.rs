//! SA-Solver: predictor and corrector for the reverse SDE.

use std::ops::RangeInclusive;

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::settings::{NonNegative, Order};
use crate::unipc::Scheme;
use crate::{Basis, Context, Extrapolate, MultistepState, Sampler, SamplingError};

/// SA-Solver: a stochastic Adams predictor and corrector, with one model call per step.
///
/// The reverse SDE with its noise scaled by τ is, in x̂₀, the reverse kernel with
/// `c = σ_to √(1 − e^(−2τ²h))` and z = −(1 + τ²)h in the weights of the predictions. The corrector
/// repeats the last step with the same noise. So at τ = 0 it is [`UniPc`](crate::UniPc) with
/// [`Basis::B1`], and τ = 1 is the full SDE. τ applies between two timesteps and is 0 outside them.
/// In ε̂ ([`extrapolate`](Self::extrapolate)) it is [`ddm_schedule::kernel::noise_sde`], less
/// stable than in x̂₀.
///
/// At τ = 0 a predictor of s predictions and a corrector of t (beside the one at the end) have
/// order min(s, t) + 1. With noise, in mean and variance on Gaussian data, the order is 2 at most
/// (measured 2.0 to 2.2 for (1, 1) and for the default, (2, 1)). Stochastic: it draws noise in
/// every step, also where τ = 0. With `lower_order_final` (the default) the order falls to 1 in the
/// last steps. State: the last x, its noise, and the last predictions. Source: Xue et al.,
/// *SA-Solver*, algorithm 1 and prop. 4.2, arXiv 2309.05019.
///
/// ```
/// use ddm_samplers::SaSolver;
/// let sampler = SaSolver::new(2, Some(1))?.tau(1.0, 200.0..=800.0)?;
/// assert_eq!(sampler, SaSolver::default());
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaSolver {
    predictor: Order,
    /// Includes the prediction at the end of the step.
    corrector: Option<Order<4>>,
    tau: NonNegative,
    /// The first and the last timestep of τ; `None` is infinite, since JSON has no infinity.
    between: (Option<f64>, Option<f64>),
    extrapolate: Extrapolate,
    lower_order_final: bool,
}

impl SaSolver {
    /// Creates a solver with a predictor of 1 to 3 predictions, and with no corrector or one of 0
    /// to 3 predictions beside the one at the end (the paper and diffusers count that one too); τ =
    /// 1 for timesteps 200 to 800.
    ///
    /// # Errors
    /// Returns an error if one of the two numbers is outside its range.
    pub fn new(predictor: usize, corrector: Option<usize>) -> Result<Self, SamplingError> {
        let predictor = Order::new("predictor", predictor)?;
        let name = "corrector (with the prediction at the end)";
        let corrector = corrector.map(|order| Order::new(name, order + 1)).transpose()?;
        Ok(Self { predictor, corrector, ..Self::default() })
    }

    /// Sets `τ ≥ 0` at these timesteps; it is 0 at others. The range may be infinite at both ends.
    ///
    /// # Errors
    /// Returns an error if τ is not finite and at least 0, or if the range is empty.
    pub fn tau(self, tau: f64, timesteps: RangeInclusive<f64>) -> Result<Self, SamplingError> {
        let (first, last) = timesteps.into_inner();
        let valid = first <= last && first < f64::INFINITY && last > f64::NEG_INFINITY;
        Invalid::require(valid, "the first timestep of tau", first, "at most the last")?;
        let between = (bound(first), bound(last));
        Ok(Self { tau: NonNegative::new("tau", tau)?, between, ..self })
    }

    /// Sets the interpolated quantity: x̂₀ (the default) or ε̂.
    #[must_use]
    pub fn extrapolate(self, extrapolate: Extrapolate) -> Self {
        Self { extrapolate, ..self }
    }

    /// Sets whether the order falls to 1 in the last steps.
    #[must_use]
    pub fn lower_order_final(self, lower_order_final: bool) -> Self {
        Self { lower_order_final, ..self }
    }
}

/// A finite bound, or `None`.
fn bound(timestep: f64) -> Option<f64> {
    Some(timestep).filter(|timestep| timestep.is_finite())
}

/// A predictor of two predictions and a corrector of one beside the end; τ = 1 from 200 to 800.
impl Default for SaSolver {
    fn default() -> Self {
        let (predictor, corrector) = (Order(2), Some(Order(2)));
        let (tau, between) = (NonNegative(1.0), (Some(200.0), Some(800.0)));
        let extrapolate = Extrapolate::Data;
        Self { predictor, corrector, tau, between, extrapolate, lower_order_final: true }
    }
}

impl<const D: usize> Sampler<D> for SaSolver {
    type State = MultistepState<D>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut MultistepState<D>,
    ) -> Tensor<D> {
        let (first, last) = self.between;
        let on = first.is_none_or(|first| from.timestep >= first)
            && last.is_none_or(|last| from.timestep <= last);
        let scheme = Scheme {
            predictor: self.predictor.0,
            corrector: self.corrector.map(|order| order.0 - 1),
            // A single difference has the weight of a basis in x̂₀ only.
            basis: (self.extrapolate == Extrapolate::Data).then_some(Basis::B1),
            extrapolate: self.extrapolate,
            lower_order_final: self.lower_order_final,
            eta: Some(if on { self.tau.0.powi(2) } else { 0.0 }),
        };
        scheme.step(cx, x, from, to, state)
    }

    fn order(&self) -> Option<usize> {
        let Order(predictor) = self.predictor;
        // The corrector's number includes its end.
        let order = self.corrector.map_or(predictor, |end| (predictor + 1).min(end.0));
        Some(if self.tau.0 > 0.0 { order.min(2) } else { order })
    }

    fn is_stochastic(&self) -> bool {
        true
    }
}
