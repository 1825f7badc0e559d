//! Dynamic thresholding, which keeps strongly guided images from saturating.

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};

use crate::{Denoised, Denoiser, ModelError};

/// A denoiser with dynamic thresholding: each sample of x̂₀ is scaled down by a quantile of its
/// magnitudes, `s = clamp(quantile_p(|x̂₀|), 1, max)`, then `x̂₀ ← clip(x̂₀, −s, s)/s`.
///
/// For pixels in [−1, 1]. Source: Saharia et al., *Photorealistic Text-to-Image Diffusion Models*
/// (Imagen), sec. 2.3, arXiv 2205.11487. With max = 1 it is [`Clipped`](crate::Clipped) at ±1.
#[derive(Clone, Debug)]
pub struct DynamicThreshold<M> {
    inner: M,
    quantile: f64,
    max: f64,
}

impl<M> DynamicThreshold<M> {
    /// Wraps `inner`, with quantile p in [0, 1] (0.995 is usual) and a largest scale of at least 1
    /// (infinity: no limit).
    ///
    /// # Errors
    /// Returns an error if `quantile` or `max` is outside its range.
    pub fn new(inner: M, quantile: f64, max: f64) -> Result<Self, ModelError> {
        let good = (0.0..=1.0).contains(&quantile);
        Invalid::require(good, "the threshold's quantile", quantile, "in [0, 1]")?;
        Invalid::require(max >= 1.0, "the threshold's largest scale", max, "at least 1")?;
        Ok(Self { inner, quantile, max })
    }

    fn limit<const D: usize>(&self, x0: Tensor<D>) -> Tensor<D> {
        let shape = x0.dims();
        let rows: Tensor<2> = x0.reshape([shape[0] as i64, -1]);
        let mut s = quantile(rows.clone().abs(), self.quantile).clamp_min(1.0);
        if self.max.is_finite() {
            s = s.clamp_max(self.max);
        }
        let kept = rows.min_pair(s.clone()).max_pair(s.clone().neg()) / s;
        kept.reshape(shape)
    }
}

/// The p-quantile of each row of `[batch, n]`, linearly interpolated; `[batch, 1]`.
fn quantile(values: Tensor<2>, p: f64) -> Tensor<2> {
    let sorted = values.sort(1);
    let place = p * (sorted.dims()[1] - 1) as f64;
    let low = sorted.clone().narrow(1, place.floor() as usize, 1);
    let high = sorted.narrow(1, place.ceil() as usize, 1);
    low.clone() + (high - low) * place.fract()
}

impl<const D: usize, M: Denoiser<D>> Denoiser<D> for DynamicThreshold<M> {
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        self.inner.predict_x0(x, at).map_x0(|x0| self.limit(x0))
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.inner.check(x, noisiest)
    }
}
