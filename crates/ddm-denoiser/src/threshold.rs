//! Dynamic thresholding: keeping strongly guided images from saturating.

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};

use crate::{Denoiser, ModelError};

/// Scales each sample of x̂₀ down by a quantile of its own magnitudes:
/// `s = clamp(quantile_p(|x̂₀|), 1, max)`, then `x̂₀ ← clip(x̂₀, −s, s)/s`.
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
    /// Quantile p in [0, 1] (0.995 is usual) and largest scale, at least 1 (infinity: no limit).
    pub fn new(inner: M, quantile: f64, max: f64) -> Result<Self, ModelError> {
        if !(0.0..=1.0).contains(&quantile) {
            let (what, allowed) = ("the threshold's quantile", "in [0, 1]");
            return Err(Invalid { name: what, value: quantile, allowed }.into());
        }
        if max.is_nan() || max < 1.0 {
            let (what, allowed) = ("the threshold's largest scale", "at least 1");
            return Err(Invalid { name: what, value: max, allowed }.into());
        }
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

/// The p-quantile of each row of `[batch, n]`, between neighbours linearly; `[batch, 1]`.
fn quantile(values: Tensor<2>, p: f64) -> Tensor<2> {
    let sorted = values.sort(1);
    let place = p * (sorted.dims()[1] - 1) as f64;
    let low = sorted.clone().narrow(1, place.floor() as usize, 1);
    let high = sorted.narrow(1, place.ceil() as usize, 1);
    low.clone() + (high - low) * place.fract()
}

impl<const D: usize, M: Denoiser<D>> Denoiser<D> for DynamicThreshold<M> {
    fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.denoise_with_variance(x, at).0
    }

    fn denoise_with_variance(
        &self,
        x: Tensor<D>,
        at: NoiseLevel,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let (x0, variance) = self.inner.denoise_with_variance(x, at);
        (self.limit(x0), variance)
    }

    fn denoise_each(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
        self.limit(self.inner.denoise_each(x, at))
    }

    fn check(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        self.inner.check(shape, noisiest)
    }
}
