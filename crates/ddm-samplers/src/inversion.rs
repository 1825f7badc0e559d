//! DDIM inversion: from data up to the noise that it comes from.

use std::fmt;

use burn::tensor::Tensor;
use ddm_denoiser::{Denoiser, ModelError, Parameterization, full_precision};
use ddm_schedule::{Invalid, Levels, NoiseLevel};

use crate::Frame;
use crate::prediction::prediction_of;

/// Walks `levels` backwards from data `x0`, last level to first: the DDIM step (η = 0) upwards. A
/// [`Ddim`](crate::Ddim) run on the same levels from its last x leads back to `x0`, the closer the
/// finer the levels.
///
/// In each step the network is told the timestep that the step goes to, so that up and down ask it
/// the same times. Deterministic; one model call a step; order 1. Source: Song et al., *Denoising
/// Diffusion Implicit Models*, sec. 4.3, arXiv 2010.02502; Mokady et al., sec. 3.1,
/// arXiv 2211.09794.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::from_fn;
/// use ddm_samplers::{Sampling, invert};
/// use ddm_schedule::{Cosine, Grid, NoiseLevel, Trailing};
/// let schedule = Cosine::default();
/// // The exact denoiser of N(0, 1): the ODE leaves x as it is.
/// let model = from_fn(|x: Tensor<2>, at: NoiseLevel| x * (at.alpha / at.scale().powi(2)));
/// let levels = Trailing.levels(&schedule, 100)?;
/// let x0 = Tensor::ones([1, 2], &Device::flex());
/// let noise = invert(&model, &levels, x0.clone())?.last().unwrap().x;
/// let back = Sampling::new(&model, &schedule).levels(levels).start_from(noise)?.finish();
/// assert!(back.all_close(x0, None, Some(0.03)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A shape that the model cannot take.
pub fn invert<'a, const D: usize, M: Denoiser<D>>(
    model: M,
    levels: &Levels,
    x0: Tensor<D>,
) -> Result<Inversion<'a, D, M>, ModelError> {
    let x = full_precision(x0);
    model.check(&x, levels[0])?;
    let (levels, limit) = (levels.clone(), Box::new(|x0| x0));
    Ok(Inversion { model, levels, x, done: 0, predicts: None, limit, start: None })
}

/// The [`Frame`]s of [`invert`], one a step.
pub struct Inversion<'a, const D: usize, M> {
    model: M,
    levels: Levels,
    x: Tensor<D>,
    done: usize,
    predicts: Option<Box<dyn Parameterization + 'a>>,
    limit: Box<dyn Fn(Tensor<D>) -> Tensor<D> + Send + Sync + 'a>,
    start: Option<Box<dyn Fn(NoiseLevel) -> NoiseLevel + Send + Sync + 'a>>,
}

impl<'a, const D: usize, M> Inversion<'a, D, M> {
    /// Told what the network predicts, F, the model's own. The data's noise, where σ = 0, is then
    /// `ε̂ = (F − p x₀)/q` exactly; else the model is asked as if the data had a little noise, which
    /// is exact for ε only. Refuses predictions that say nothing of it: of x₀, the score, and EDM's.
    pub fn predicting(self, predicts: impl Parameterization + 'a) -> Result<Self, ModelError> {
        let last = self.levels[self.levels.len() - 1];
        let (p, q) = predicts.target(last);
        let known = last.sigma > 0.0 || ((p / q).is_finite() && q.is_finite());
        let allowed = "above 0 for this prediction, which says nothing of the noise there";
        Invalid::require(known, "the last sigma", last.sigma, allowed)?;
        Ok(Self { predicts: Some(Box::new(predicts)), ..self })
    }

    /// With each x̂₀ limited, to the range of the data say, and ε̂ left alone.
    pub fn limit(self, limit: impl Fn(Tensor<D>) -> Tensor<D> + Send + Sync + 'a) -> Self {
        Self { limit: Box::new(limit), ..self }
    }

    /// With steps that start, but for the first, at another level than the one before has reached:
    /// at `start` of the level that the step goes to. For walks whose rows do not meet, as diffusers
    /// has them where the number of steps does not divide that of the rows.
    #[must_use]
    pub fn starting_at(self, start: impl Fn(NoiseLevel) -> NoiseLevel + Send + Sync + 'a) -> Self {
        Self { start: Some(Box::new(start)), ..self }
    }
}

impl<const D: usize, M: Denoiser<D>> Inversion<'_, D, M> {
    /// ε̂ at `from`, of a network that is told the timestep of `to`.
    fn noise(&self, from: NoiseLevel, to: NoiseLevel) -> Tensor<D> {
        let x = self.x.clone();
        match &self.predicts {
            Some(kind) if from.sigma == 0.0 => {
                let x0 = self.model.denoise(x.clone(), to);
                let ((p, q), prediction) =
                    (kind.target(from), prediction_of(&**kind, x.clone(), x0, to));
                prediction * q.recip() - x * (p / (q * from.alpha))
            }
            _ => {
                // As if data had next to no noise, where it has none.
                let sigma = from.sigma.max(1e-3_f64.min(to.sigma / 8.0));
                let at = NoiseLevel { timestep: to.timestep, sigma, ..from };
                let x0 = self.model.denoise(x.clone(), at);
                x * sigma.recip() - x0 * (from.alpha / sigma)
            }
        }
    }
}

impl<const D: usize, M> fmt::Debug for Inversion<'_, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inversion").field("done", &self.done).finish_non_exhaustive()
    }
}

impl<const D: usize, M: Denoiser<D>> Iterator for Inversion<'_, D, M> {
    type Item = Frame<D>;

    fn next(&mut self) -> Option<Frame<D>> {
        let last = self.levels.len() - 1 - self.done;
        let to = *self.levels.get(last.checked_sub(1)?)?;
        let from = match &self.start {
            Some(start) if self.done > 0 => start(to),
            _ => self.levels[last],
        };
        let noise = self.noise(from, to);
        let free = self.x.clone() * from.alpha.recip() - noise.clone() * (from.sigma / from.alpha);
        let denoised = (self.limit)(free);
        let x = denoised.clone() * to.alpha + noise * to.sigma;
        (self.x, self.done) = (x.clone(), self.done + 1);
        Some(Frame { x, denoised, level: to, evaluations: self.done })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.levels.len() - 1 - self.done;
        (left, Some(left))
    }
}

impl<const D: usize, M: Denoiser<D>> ExactSizeIterator for Inversion<'_, D, M> {}
