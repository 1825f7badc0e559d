//! DDIM inversion: from data to the noise that DDIM maps to it.

use std::fmt;

use burn::tensor::Tensor;
use ddm_denoiser::{Denoiser, ModelError, Parameterization, full_precision, linear_combination};
use ddm_schedule::{Invalid, Levels, NoiseLevel};

use crate::Frame;
use crate::prediction::prediction_of;

/// Inverts DDIM: goes from data `x0` through `levels` in reverse, with DDIM steps (η = 0) to
/// noisier levels. A [`Ddim`](crate::Ddim) run on the same levels from the last x returns to `x0`,
/// up to an error that falls as the levels get finer.
///
/// In each step the network's timestep is that of the level the step goes to, so that inversion and
/// sampling use the same timesteps. Deterministic; one model call per step; order 1. Source: Song
/// et al., *Denoising Diffusion Implicit Models*, sec. 4.3, arXiv 2010.02502; Mokady et al., sec.
/// 3.1, arXiv 2211.09794.
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
/// Returns an error if the shape of x₀ or the first level is invalid for the model.
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

/// The iterator that [`invert`] returns, with one [`Frame`] per step.
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
    /// Sets the quantity F that the network predicts, which must be the model's. The noise of the
    /// data, where σ = 0, is then exactly `ε̂ = (F − p x₀)/q`. By default the model is called as if
    /// the data had a little noise, which is exact for ε only.
    ///
    /// # Errors
    /// Returns an error if F does not determine the noise at the last level: predictions of x₀, of
    /// the score and of EDM at σ = 0.
    pub fn predicting(self, predicts: impl Parameterization + 'a) -> Result<Self, ModelError> {
        let last = self.levels[self.levels.len() - 1];
        let (p, q) = predicts.target(last);
        let known = last.sigma > 0.0 || ((p / q).is_finite() && q.is_finite());
        let allowed = "above 0 for this prediction, which does not determine the noise at 0";
        Invalid::require(known, "the last sigma", last.sigma, allowed)?;
        Ok(Self { predicts: Some(Box::new(predicts)), ..self })
    }

    /// Sets a function that is applied to each x̂₀, such as clipping to the range of the data. It
    /// does not change ε̂.
    #[must_use]
    pub fn limit(self, limit: impl Fn(Tensor<D>) -> Tensor<D> + Send + Sync + 'a) -> Self {
        Self { limit: Box::new(limit), ..self }
    }

    /// Sets the level at which each step but the first starts, as a function `start` of the level
    /// it goes to, in place of the level that the previous step has reached. It reproduces
    /// diffusers, whose steps do not join if the number of steps does not divide the number of
    /// rows.
    #[must_use]
    pub fn starting_at(self, start: impl Fn(NoiseLevel) -> NoiseLevel + Send + Sync + 'a) -> Self {
        Self { start: Some(Box::new(start)), ..self }
    }
}

impl<const D: usize, M: Denoiser<D>> Inversion<'_, D, M> {
    /// ε̂ at `from`, of a network called with the timestep of `to`.
    fn noise(&self, from: NoiseLevel, to: NoiseLevel) -> Tensor<D> {
        let x = self.x.clone();
        match &self.predicts {
            Some(kind) if from.sigma == 0.0 => {
                let x0 = self.model.denoise(x.clone(), to);
                let ((p, q), prediction) =
                    (kind.target(from), prediction_of(&**kind, x.clone(), x0, to));
                linear_combination([(q.recip(), prediction), (-p / (q * from.alpha), x)])
            }
            _ => {
                // Data without noise is treated as data with very little noise.
                let sigma = from.sigma.max(1e-3_f64.min(to.sigma / 8.0));
                let at = NoiseLevel { timestep: to.timestep, sigma, ..from };
                let x0 = self.model.denoise(x.clone(), at);
                linear_combination([(sigma.recip(), x), (-from.alpha / sigma, x0)])
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
        let (of_x, of_noise) = (from.alpha.recip(), -from.sigma / from.alpha);
        let free = linear_combination([(of_x, self.x.clone()), (of_noise, noise.clone())]);
        let denoised = (self.limit)(free);
        let x = linear_combination([(to.alpha, denoised.clone()), (to.sigma, noise)]);
        (self.x, self.done) = (x.clone(), self.done + 1);
        Some(Frame { x, denoised, level: to, evaluations: self.done })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.levels.len() - 1 - self.done;
        (left, Some(left))
    }
}

impl<const D: usize, M: Denoiser<D>> ExactSizeIterator for Inversion<'_, D, M> {}
