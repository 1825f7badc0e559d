//! DDIM inversion: from data up to the noise that it comes from.

use std::fmt;

use burn::tensor::Tensor;
use ddm_denoiser::{Denoiser, ModelError};
use ddm_schedule::{Levels, NoiseLevel};

use crate::Frame;

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
pub fn invert<'a, const D: usize, M: Denoiser<D> + ?Sized>(
    model: &'a M,
    levels: &'a Levels,
    x0: Tensor<D>,
) -> Result<Inversion<'a, D, M>, ModelError> {
    model.check(x0.dims(), levels[0])?;
    Ok(Inversion { model, levels, x: x0, done: 0 })
}

/// The [`Frame`]s of [`invert`], one a step.
pub struct Inversion<'a, const D: usize, M: ?Sized> {
    model: &'a M,
    levels: &'a [NoiseLevel],
    x: Tensor<D>,
    done: usize,
}

impl<const D: usize, M: ?Sized> fmt::Debug for Inversion<'_, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inversion").field("done", &self.done).finish_non_exhaustive()
    }
}

impl<const D: usize, M: Denoiser<D> + ?Sized> Iterator for Inversion<'_, D, M> {
    type Item = Frame<D>;

    fn next(&mut self) -> Option<Frame<D>> {
        let last = self.levels.len() - 1 - self.done;
        let to = *self.levels.get(last.checked_sub(1)?)?;
        let from = self.levels[last];
        // Data has no noise to tell from signal: the model is asked as if it had next to none.
        let sigma = from.sigma.max(1e-3_f64.min(to.sigma / 8.0));
        let denoised = self.model.denoise(self.x.clone(), NoiseLevel { t: to.t, sigma, ..from });
        // x' = α_to/α_from x + (σ_to − α_to/α_from σ_from) ε̂,  ε̂ = (x − α_from x̂₀)/σ
        let shrink = to.alpha / from.alpha;
        let slope = (to.sigma - shrink * from.sigma) / sigma;
        let x = self.x.clone() * (shrink + slope) - denoised.clone() * (slope * from.alpha);
        (self.x, self.done) = (x.clone(), self.done + 1);
        Some(Frame { x, denoised, level: to, evaluations: self.done })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.levels.len() - 1 - self.done;
        (left, Some(left))
    }
}

impl<const D: usize, M: Denoiser<D> + ?Sized> ExactSizeIterator for Inversion<'_, D, M> {}
