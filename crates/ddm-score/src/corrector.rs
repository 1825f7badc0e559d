//! Correctors: Langevin moves between the steps of another sampler.

use burn::tensor::Tensor;
use ddm_denoiser::norm_square;
use ddm_samplers::{Context, Sampler, SamplingError};
use ddm_schedule::{Invalid, Levels, NoiseLevel, NoiseSchedule};
use serde::{Deserialize, Serialize};

use crate::ScoreError;
use crate::langevin::langevin_move;
use crate::score::score;

/// Any sampler with Langevin moves after each of its steps, which take x nearer to the marginal of
/// the level that the step has reached:
///
/// ```text
/// x = predictor(x, from → to),   then `times`:  x ← x + ε s(x) + √(2ε) z   at `to`
/// ```
///
/// Model calls: the predictor's and one a move. State: the predictor's. No moves at σ_to = 0, and 0
/// moves or steps of size 0 change nothing, draw nothing and call nothing. Source: Song et al.,
/// *Score-Based Generative Modeling through Stochastic Differential Equations*, algorithms 1, 4
/// and 5, arXiv 2011.13456: there around [`ReverseDiffusion`](crate::ReverseDiffusion) and the
/// ancestral samplers.
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
    /// Around `predictor`, with `times` moves of this size after each of its steps.
    pub fn new(predictor: S, step: CorrectorStep, times: usize) -> Self {
        Self { predictor, step, times }
    }

    /// Moves after each step.
    fn moves(&self) -> usize {
        if self.step.0.is_nothing() { 0 } else { self.times }
    }
}

/// How far a corrector's move goes.
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
    /// The published rule, by a signal-to-noise ratio r ≥ 0 of the move:
    ///
    /// ```text
    /// ε = 2 a (r ‖z‖/‖s‖)²,   a = (α_from/α_to)²
    /// ```
    ///
    /// r is about 0.16 for images. a is 1 where variance explodes, and 1 − β of the step just taken
    /// where it is preserved (theirs: of the step to come), so 0 in a step from pure noise. Norms
    /// are each sample's own, so that a sample does not depend on its batch mates; the authors'
    /// program takes means over the batch.
    /// ε is at most 2 σ², the bound of a stable move, which a vanishing score would break.
    ///
    /// **For many elements only.** As ε depends on x and z, the moves do not leave the marginal as
    /// it is: of a Gaussian of D elements small ones settle at `(1 + 2/D)²` times the variance. That
    /// is 0.1 % too much for 32 × 32 × 3, but 3.5 times as much as there should be for points of a
    /// plane (measured at r = 0.05, where the bound on ε begins to count). For few elements
    /// take [`of_variance`](Self::of_variance): it is what the rule says on average where noise
    /// prevails, ‖z‖ = √D and ‖s‖ = √D/σ, with δ = 2 a r².
    pub fn snr(snr: f64) -> Result<Self, ScoreError> {
        let holds = snr >= 0.0 && snr.is_finite();
        Invalid::require(holds, "snr", snr, "finite and at least 0")?;
        Ok(Self(Rule::Snr(snr)))
    }

    /// `ε = δ σ²`, with δ in [0, 2): the step of [`AnnealedLangevin`](crate::AnnealedLangevin). It
    /// leaves the marginal as it is up to O(δ).
    pub fn of_variance(step: f64) -> Result<Self, ScoreError> {
        let holds = (0.0..2.0).contains(&step);
        Invalid::require(holds, "step", step, "at least 0 and below 2")?;
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
                // 2σ² of a score that is 0, where the quotient is infinite.
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
