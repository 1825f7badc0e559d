//! A main model led away from a worse one.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use super::scale::{at_each, at_start};
use crate::per_sample::times;
use crate::{Denoiser, ModelError, Scale};

/// Two denoisers: a main one, led away from a worse one.
///
/// ```text
/// x̂₀ = x̂₀(guide) + w (x̂₀(main) − x̂₀(guide))
/// ```
///
/// In *autoguidance* the guide one is a smaller network, or the same one earlier in training, with
/// the same condition: w > 1 then cleans up what both get wrong, without the loss of variety of
/// [`ClassifierFree`](crate::ClassifierFree). With an unconditional network as the guide one it is
/// classifier-free guidance with two networks. At w = 1 the guide one is not asked, nor the main one
/// at w = 0; a learned variance is that of the main one where it is asked.
/// Source: Karras et al., *Guiding a Diffusion Model with a Bad Version of Itself*, sec. 4,
/// arXiv 2406.02507.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Denoiser, Autoguidance, from_fn};
/// use ddm_schedule::NoiseLevel;
/// let main = from_fn(|x: Tensor<1>, _: NoiseLevel| x * 0.5);
/// let guide = from_fn(|x: Tensor<1>, _: NoiseLevel| x * 0.25);
/// let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 1.0 };
/// let x0 = Autoguidance::new(main, guide, 2.0)?.denoise(Tensor::ones([1], &Device::flex()), at);
/// assert_eq!(x0.into_scalar::<f32>(), 0.75);
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[doc(alias = "autoguidance")]
#[derive(Clone, Debug)]
pub struct Autoguidance<G, B, S = f64> {
    main: G,
    guide: B,
    scale: S,
}

impl<G, B, S: Scale> Autoguidance<G, B, S> {
    /// Leads `main` away from `guide`; 1 is `main` alone.
    pub fn new(main: G, guide: B, scale: S) -> Result<Self, ModelError> {
        scale.check()?;
        Ok(Self { main, guide, scale })
    }
}

/// `guide + w (main − guide)`.
fn beyond<const D: usize>(main: Tensor<D>, guide: Tensor<D>, scales: &[f64]) -> Tensor<D> {
    guide.clone() + times(main - guide, scales)
}

impl<const D: usize, G: Denoiser<D>, B: Denoiser<D>, S: Scale> Denoiser<D>
    for Autoguidance<G, B, S>
{
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
            return self.guide.denoise_with_variance(x, at);
        }
        let (main, variance) = self.main.denoise_with_variance(x.clone(), at);
        if scale == 1.0 {
            return (main, variance);
        }
        (beyond(main, self.guide.denoise(x, at), &[scale]), variance)
    }

    fn denoise_each(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Tensor<D> {
        let scales = at_each(&self.scale, at);
        let all = |wanted: f64| scales.iter().all(|&scale| scale == wanted);
        if all(0.0) {
            return self.guide.denoise_each(x, at);
        }
        let main = self.main.denoise_each(x.clone(), at);
        if all(1.0) {
            return main;
        }
        beyond(main, self.guide.denoise_each(x, at), &scales)
    }

    fn check(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        at_start(&self.scale, noisiest)?;
        self.main.check(shape, noisiest)?;
        self.guide.check(shape, noisiest)
    }
}
