//! Correctors: Langevin steps between the steps of another sampler.

use burn::tensor::Tensor;
use ddm_denoiser::norm_square;
use ddm_samplers::{Context, Sampler, SamplingError};
use ddm_schedule::{Invalid, Levels, NoiseLevel, NoiseSchedule};
use serde::{Deserialize, Serialize};

use crate::ScoreError;
use crate::langevin::langevin_move;
use crate::score::score;

/// A predictor–corrector sampler: any sampler with Langevin moves after each of its steps, which
/// move x towards the marginal of the level that the step has reached:
///
/// ```text
/// x = predictor(x, from → to),   then `times`:  x ← x + ε s(x) + √(2ε) z   at `to`
/// ```
///
/// Model calls: the predictor's and one per move. State: the predictor's. There are no moves at
/// σ_to = 0. With 0 moves or steps of size 0, it draws no noise and calls no model. Source: Song et
/// al., *Score-Based Generative Modeling through Stochastic Differential Equations*, algorithms 1,
/// 4 and 5, arXiv 2011.13456, whose predictors are [`ReverseDiffusion`](crate::ReverseDiffusion)
/// and the ancestral samplers.
///
/// ```
/// use ddm_samplers::Ddim;
/// use ddm_score::{CorrectorStep, PredictorCorrector, ReverseDiffusion};
/// let images = PredictorCorrector::new(ReverseDiffusion, CorrectorStep::snr(0.16)?, 1);
/// let points = PredictorCorrector::new(Ddim::default(), CorrectorStep::of_variance(0.1)?, 2);
/// assert!(CorrectorStep::snr(-0.16).is_err());
/// # Ok::<(), ddm_score::ScoreError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictorCorrector<S> {
    predictor: S,
    step: CorrectorStep,
    times: usize,
}

impl<S> PredictorCorrector<S> {
    /// Wraps `predictor`, with `times` moves of this size after each of its steps.
    pub fn new(predictor: S, step: CorrectorStep, times: usize) -> Self {
        Self { predictor, step, times }
    }

    /// The number of moves after each step.
    fn moves(&self) -> usize {
        if self.step.0.is_nothing() { 0 } else { self.times }
    }
}

/// The step size of a corrector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Rule", into = "Rule")]
pub struct CorrectorStep(Rule);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "CorrectorStep")]
enum Rule {
    Snr(f64),
    OfVariance(f64),
}

impl CorrectorStep {
    /// Creates the published rule, with a signal-to-noise ratio r ≥ 0 of the move:
    ///
    /// ```text
    /// ε = 2 a (r ‖z‖/‖s‖)²,   a = (α_from/α_to)²
    /// ```
    ///
    /// r is about 0.16 for images. a is 1 if variance explodes, and 1 − β of the step just taken if
    /// it is preserved (in the paper, of the next step), so it is 0 in a step from pure noise.
    /// Norms are per sample, so that a sample does not depend on the rest of its batch; the
    /// authors' code takes means over the batch. ε is limited to 2 σ², the bound of a stable move,
    /// which a vanishing score would exceed.
    ///
    /// **For many elements only.** As ε depends on x and z, the moves change the marginal: for a
    /// Gaussian of D elements small moves settle at `(1 + 2/D)²` times the variance. That is 0.1 %
    /// too much for 32 × 32 × 3, but 3.5 times the correct variance for points of a plane (measured
    /// at r = 0.05, where the bound on ε starts to act). For few elements use
    /// [`of_variance`](Self::of_variance): with δ = 2 a r² it is the average of this rule where
    /// noise dominates, ‖z‖ = √D and ‖s‖ = √D/σ.
    ///
    /// # Errors
    /// Returns an error if r is not finite and at least 0.
    pub fn snr(snr: f64) -> Result<Self, ScoreError> {
        let valid = snr >= 0.0 && snr.is_finite();
        Invalid::require(valid, "snr", snr, "finite and at least 0")?;
        Ok(Self(Rule::Snr(snr)))
    }

    /// Creates the rule `ε = δ σ²`, with δ in [0, 2): the step of
    /// [`AnnealedLangevin`](crate::AnnealedLangevin). It preserves the marginal up to O(δ).
    ///
    /// # Errors
    /// Returns an error if δ is outside [0, 2).
    pub fn of_variance(step: f64) -> Result<Self, ScoreError> {
        let valid = (0.0..2.0).contains(&step);
        Invalid::require(valid, "step", step, "at least 0 and below 2")?;
        Ok(Self(Rule::OfVariance(step)))
    }
}

impl Rule {
    fn correct<const D: usize>(
        self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        at: NoiseLevel,
    ) -> Tensor<D> {
        match self {
            Self::OfVariance(step) => langevin_move(cx, x, at, step),
            Self::Snr(snr) => {
                let a = (from.alpha / at.alpha).powi(2);
                if a == 0.0 {
                    return x;
                }
                let x0 = cx.denoise(x.clone(), at);
                let score = score(x.clone(), x0, at);
                let z = cx.noise_like(&x);
                let ratio = norm_square(z.clone()) / norm_square(score.clone());
                // A score of 0 gives 2σ², since the quotient is infinite.
                let size = (ratio * (2.0 * a * snr * snr)).clamp_max(2.0 * at.sigma * at.sigma);
                x + score * size.clone() + z * (size * 2.0).sqrt()
            }
        }
    }

    fn is_nothing(self) -> bool {
        matches!(self, Self::Snr(0.0) | Self::OfVariance(0.0))
    }
}

impl<const D: usize, S: Sampler<D>> Sampler<D> for PredictorCorrector<S> {
    type State = S::State;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut S::State,
    ) -> Tensor<D> {
        let CorrectorStep(rule) = self.step;
        let mut x = self.predictor.step(cx, x, from, to, state);
        if to.sigma == 0.0 {
            return x;
        }
        for _ in 0..self.moves() {
            x = rule.correct(cx, x, from, to);
        }
        x
    }

    fn order(&self) -> Option<usize> {
        self.predictor.order()
    }

    fn is_stochastic(&self) -> bool {
        self.moves() > 0 || self.predictor.is_stochastic()
    }

    fn calls(&self) -> usize {
        self.predictor.calls() + self.moves()
    }

    fn check(
        &self,
        shape: [usize; D],
        levels: &Levels,
        schedule: &dyn NoiseSchedule,
    ) -> Result<(), SamplingError> {
        self.predictor.check(shape, levels, schedule)
    }
}

impl TryFrom<Rule> for CorrectorStep {
    type Error = ScoreError;
    fn try_from(rule: Rule) -> Result<Self, ScoreError> {
        match rule {
            Rule::Snr(snr) => Self::snr(snr),
            Rule::OfVariance(step) => Self::of_variance(step),
        }
    }
}

impl From<CorrectorStep> for Rule {
    fn from(CorrectorStep(rule): CorrectorStep) -> Self {
        rule
    }
}
