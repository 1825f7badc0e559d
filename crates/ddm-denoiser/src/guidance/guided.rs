//! A good model led away from a worse one.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use super::scale::{at_each, at_start};
use crate::per_sample::times;
use crate::{Denoiser, ModelError, Scale};

/// Two denoisers: a good one, led away from a worse one.
///
/// ```text
/// x̂₀ = x̂₀(bad) + w (x̂₀(good) − x̂₀(bad))
/// ```
///
/// In *autoguidance* the bad one is a smaller network, or the same one earlier in training, with
/// the same condition: w > 1 then cleans up what both get wrong, without the loss of variety of
/// [`ClassifierFree`](crate::ClassifierFree). With an unconditional network as the bad one it is
/// classifier-free guidance with two networks. At w = 1 the bad one is not asked, nor the good one
/// at w = 0; a learned variance is that of the good one where it is asked.
/// Source: Karras et al., *Guiding a Diffusion Model with a Bad Version of Itself*, sec. 4,
/// arXiv 2406.02507.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Denoiser, Guided, from_fn};
/// use ddm_schedule::NoiseLevel;
/// let good = from_fn(|x: Tensor<1>, _: NoiseLevel| x * 0.5);
/// let bad = from_fn(|x: Tensor<1>, _: NoiseLevel| x * 0.25);
/// let at = NoiseLevel { t: 0.0, alpha: 1.0, sigma: 1.0 };
/// let x0 = Guided::new(good, bad, 2.0)?.denoise(Tensor::ones([1], &Device::flex()), at);
/// assert_eq!(x0.into_scalar::<f32>(), 0.75);
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[doc(alias = "autoguidance")]
#[derive(Clone, Debug)]
pub struct Guided<G, B, S = f64> {
    good: G,
    bad: B,
    scale: S,
}

impl<G, B, S: Scale> Guided<G, B, S> {
    /// Leads `good` away from `bad`; 1 is `good` alone.
    pub fn new(good: G, bad: B, scale: S) -> Result<Self, ModelError> {
        scale.check()?;
        Ok(Self { good, bad, scale })
    }
}

/// `bad + w (good − bad)`.
fn beyond<const D: usize>(good: Tensor<D>, bad: Tensor<D>, scales: &[f64]) -> Tensor<D> {
    bad.clone() + times(good - bad, scales)
}

impl<const D: usize, G: Denoiser<D>, B: Denoiser<D>, S: Scale> Denoiser<D> for Guided<G, B, S> {
    fn denoise(&self, x: Tensor<D>, at: NoiseLevel) -> Tensor<D> {
        self.denoise_with_variance(x, at).0
    }

    fn denoise_with_variance(
        &self,
        x: Tensor<D>,
        at: NoiseLevel,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let scale = self.scale.at(at);
        if scale == 0.0 {
            return self.bad.denoise_with_variance(x, at);
        }
        let (good, variance) = self.good.denoise_with_variance(x.clone(), at);
        if scale == 1.0 {
            return (good, variance);
        }
        (beyond(good, self.bad.denoise(x, at), &[scale]), variance)
    }

    fn denoise_each(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
        let scales = at_each(&self.scale, at);
        let all = |wanted: f64| scales.iter().all(|&scale| scale == wanted);
        if all(0.0) {
            return self.bad.denoise_each(x, at);
        }
        let good = self.good.denoise_each(x.clone(), at);
        if all(1.0) {
            return good;
        }
        beyond(good, self.bad.denoise_each(x, at), &scales)
    }

    fn check(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        at_start(&self.scale, noisiest)?;
        self.good.check(shape, noisiest)?;
        self.bad.check(shape, noisiest)
    }
}
