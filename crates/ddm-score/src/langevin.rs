//! Annealed Langevin dynamics: sampling with noise and the score alone, level by level.

use burn::tensor::Tensor;
use ddm_samplers::{Context, Sampler};
use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::ScoreError;

/// Annealed Langevin dynamics: at each level, T noisy moves along the score.
///
/// ```text
/// T times:  x ← x + δ σ² s(x) + √(2δ) σ z      (s = (α x̂₀ − x)/σ²)
/// ```
///
/// The step size at a level is `δ σ²`: the papers' ε of the least noisy level σ_L is `δ σ_L²`, and
/// NCSN's, which has ε/2 before the score, is `2 δ σ_L²`. x is not rescaled between levels, also
/// where α is not 1. The step to σ = 0 ends with `α_to x̂₀`, the denoising of NCSNv2.
///
/// T model calls per step, one more in the step to σ = 0; no state. Moves are made at the level
/// where a step starts, so a run that ends above σ = 0 makes none at its last level. It does not
/// solve an equation: levels must be so close that T moves take x from one to the next, as on a
/// [`GeometricSigmas`](ddm_schedule::GeometricSigmas). At a level of total variance v = α² s² + σ²,
/// the moves converge to variance `v/(1 − δ σ²/(2v))`, with a factor `(1 − δ σ²/v)` per move.
/// Source: Song & Ermon, *Generative Modeling by Estimating Gradients of the Data Distribution*,
/// algorithm 1, arXiv 1907.05600; *Improved Techniques for Training Score-Based Generative Models*,
/// algorithm 1, arXiv 2006.09011.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::from_fn;
/// use ddm_samplers::Sampling;
/// use ddm_schedule::{GeometricSigmas, NoiseLevel};
/// use ddm_score::AnnealedLangevin;
/// // The exact denoiser of data that is always 3.
/// let model = from_fn(|x: Tensor<2>, _: NoiseLevel| x * 0.0 + 3.0);
/// let ladder = GeometricSigmas::new(0.01, 10.0, 20)?;
/// let langevin = AnnealedLangevin::ncsn_v2(ladder.ratio(), 5)?;
/// let run = Sampling::new(&model, &ladder).sampler(langevin).steps(20).seed(1);
/// let x = run.sample([4, 2], &Device::flex())?;
/// assert!(x.all_close(Tensor::full([4, 2], 3.0, &Device::flex()), None, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings")]
pub struct AnnealedLangevin {
    step: f64,
    times: usize,
}

impl AnnealedLangevin {
    /// Creates the sampler with step δ in (0, 2) and T = `times` moves per level.
    ///
    /// From δ = 2 on, x would diverge for data that is a point.
    ///
    /// # Errors
    /// Returns an error if δ is outside (0, 2), or if `times` is 0.
    pub fn new(step: f64, times: usize) -> Result<Self, ScoreError> {
        require_step(step)?;
        Invalid::require(times > 0, "times", times as f64, "at least 1")?;
        Ok(Self { step, times })
    }

    /// Creates the sampler with the best δ for T = `times` moves per level on a ladder of ratio
    /// γ = σ_before/σ.
    ///
    /// For data that is one point, x enters a level of std σ with variance `γ² σ²` and, with
    /// `q = 2δ/(1 − (1 − δ)²) = 1/(1 − δ/2)`, leaves it with variance
    ///
    /// ```text
    /// σ² ( (1 − δ)^(2T) (γ² − q) + q )
    /// ```
    ///
    /// which should be σ², but is larger for every δ in (0, 1), since γ² and q are above 1. The
    /// best δ is its unique minimum. Source: Song & Ermon, *Improved Techniques for Training
    /// Score-Based Generative Models*, technique 4 and proposition 3, arXiv 2006.09011.
    ///
    /// # Errors
    /// Returns an error if γ is not finite and above 1, or if `times` is 0.
    ///
    /// ```
    /// use ddm_schedule::GeometricSigmas;
    /// use ddm_score::AnnealedLangevin;
    /// // The paper's CIFAR-10 setting: ε = δ σ_L² = 6.2e-6.
    /// let ladder = GeometricSigmas::new(0.01, 50.0, 232)?;
    /// let langevin = AnnealedLangevin::ncsn_v2(ladder.ratio(), 5)?;
    /// assert!((langevin.step_size() * 1e-4 - 6.2e-6).abs() < 0.05e-6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ncsn_v2(ratio: f64, times: usize) -> Result<Self, ScoreError> {
        Invalid::require(times > 0, "times", times as f64, "at least 1")?;
        let (square, moves) = (ratio * ratio, 2.0 * times as f64);
        let valid = square.is_finite() && ratio > 1.0;
        Invalid::require(valid, "ratio", ratio, "finite and above 1")?;
        // The sign of the derivative in δ: below 0 at 0, above 0 at 1, with one zero.
        let rises = |step: f64| {
            let q = 1.0 / (1.0 - 0.5 * step);
            let left = (1.0 - step).powf(moves);
            0.5 * q * q * (1.0 - left) > (square - q) * moves * (1.0 - step).powf(moves - 1.0)
        };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if rises(middle) { high = middle } else { low = middle }
        }
        Self::new(high, times)
    }

    /// Returns the step δ, in units of σ².
    pub fn step_size(&self) -> f64 {
        self.step
    }
}

/// Checks that δ is in (0, 2).
pub(crate) fn require_step(step: f64) -> Result<(), Invalid> {
    Invalid::require(step > 0.0 && step < 2.0, "step", step, "above 0 and below 2")
}

/// One Langevin move at a level, `x + δ σ² s + √(2δ) σ z = x + δ (α x̂₀ − x) + √(2δ) σ z`.
pub(crate) fn langevin_move<const D: usize>(
    cx: &mut Context<'_, D>,
    x: Tensor<D>,
    at: NoiseLevel,
    step: f64,
) -> Tensor<D> {
    let x0 = cx.denoise(x.clone(), at);
    let noise = (2.0 * step).sqrt() * at.sigma;
    cx.combine([(1.0 - step, x), (step * at.alpha, x0)], noise)
}

impl<const D: usize> Sampler<D> for AnnealedLangevin {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        mut x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        (): &mut (),
    ) -> Tensor<D> {
        for _ in 0..self.times {
            x = langevin_move(cx, x, from, self.step);
        }
        match to.sigma {
            0.0 => cx.denoise(x, from) * to.alpha,
            _ => x,
        }
    }

    fn order(&self) -> Option<usize> {
        None
    }

    fn is_stochastic(&self) -> bool {
        true
    }

    fn calls(&self) -> usize {
        self.times
    }
}

#[derive(Deserialize)]
struct Settings {
    step: f64,
    times: usize,
}

impl TryFrom<Settings> for AnnealedLangevin {
    type Error = ScoreError;
    fn try_from(raw: Settings) -> Result<Self, ScoreError> {
        Self::new(raw.step, raw.times)
    }
}
