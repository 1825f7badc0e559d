//! Guidance of a model away from a worse version of itself.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use super::scale::{at_each, at_start};
use crate::per_sample::times;
use crate::{Denoised, Denoiser, ModelError, Scale};

/// Autoguidance: the prediction of a main model, guided away from that of a worse one, the guide.
///
/// ```text
/// x̂₀ = x̂₀(guide) + w (x̂₀(main) − x̂₀(guide))
/// ```
///
/// The guide is a smaller network, or the same one earlier in training, with the same condition.
/// w > 1 then reduces the errors that both make, without the loss of variety of
/// [`ClassifierFree`](crate::ClassifierFree). With an unconditional network as the guide this is
/// classifier-free guidance with two networks. The guide is not called at w = 1, nor the main model
/// at w = 0. A learned variance is that of the main model, and at w = 0 that of the guide.
/// Source: Karras et al., *Guiding a Diffusion Model with a Bad Version of Itself*, sec. 4,
/// arXiv 2406.02507.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Autoguidance, Denoiser, from_fn};
/// use ddm_schedule::NoiseLevel;
/// let main = from_fn(|x: Tensor<1>, _: NoiseLevel| x * 0.5);
/// let guide = from_fn(|x: Tensor<1>, _: NoiseLevel| x * 0.25);
/// let at = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: 1.0 };
/// let x0 = Autoguidance::new(main, guide, 2.0)?.denoise(Tensor::ones([1], &Device::flex()), at);
/// assert_eq!(x0.into_scalar::<f32>(), 0.75);
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Autoguidance<M, G, S = f64> {
    main: M,
    guide: G,
    scale: S,
}

impl<M, G, S: Scale> Autoguidance<M, G, S> {
    /// Guides `main` away from `guide`; scale 1 is `main` alone.
    ///
    /// # Errors
    /// Returns an error if the scale is not finite.
    pub fn new(main: M, guide: G, scale: S) -> Result<Self, ModelError> {
        scale.check()?;
        Ok(Self { main, guide, scale })
    }
}

impl<const D: usize, M: Denoiser<D>, G: Denoiser<D>, S: Scale> Denoiser<D>
    for Autoguidance<M, G, S>
{
    fn predict_x0(&self, x: Tensor<D>, at: &[NoiseLevel]) -> Denoised<D> {
        let scales = at_each(&self.scale, at);
        let all = |wanted: f64| scales.iter().all(|&scale| scale == wanted);
        if all(0.0) {
            return self.guide.predict_x0(x, at);
        }
        let main = self.main.predict_x0(x.clone(), at);
        if all(1.0) {
            return main;
        }
        let guide = self.guide.predict_x0(x, at).x0;
        main.map_x0(|main| guide.clone() + times(main - guide, &scales))
    }

    fn check(&self, x: &Tensor<D>, noisiest: NoiseLevel) -> Result<(), ModelError> {
        at_start(&self.scale, noisiest)?;
        self.main.check(x, noisiest)?;
        self.guide.check(x, noisiest)
    }
}
