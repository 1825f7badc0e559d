//! Painting a part of an image anew, by a network that was not trained for it.

use burn::tensor::Tensor;
use ddm_denoiser::linear_combination;
use ddm_samplers::{BoxedSampler, Context, Sampler, SamplingError};
use ddm_schedule::{Levels, NoiseLevel, NoiseSchedule};

/// What of an image stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The image as a latent.
    pub(crate) latent: Tensor<4>,
    /// The noise of the start.
    pub(crate) noise: Tensor<4>,
    /// 1 where the image is painted anew, `[batch, 1, height, width]` of the latent's size.
    pub(crate) mask: Tensor<4>,
}

impl Known {
    pub(crate) fn around(self, sampler: BoxedSampler<4>) -> Inpaint {
        Inpaint { sampler, known: self }
    }
}

/// A sampler after each of whose steps the known part is that of the image, at the noise of the level:
/// `x ← m x + (1 − m)(α x₀ + σ ε)`, with one ε for all steps.
///
/// Source: Lugmayr et al., *RePaint*, eq. 8, arXiv 2201.09865, there with new noise in each step and
/// steps back; this is what diffusers' inpainting pipeline does.
#[derive(Clone, Debug)]
pub(crate) struct Inpaint {
    sampler: BoxedSampler<4>,
    known: Known,
}

impl Sampler<4> for Inpaint {
    type State = <BoxedSampler<4> as Sampler<4>>::State;

    fn step(
        &self,
        cx: &mut Context<'_, 4>,
        x: Tensor<4>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut Self::State,
    ) -> Tensor<4> {
        let Known { latent, noise, mask } = &self.known;
        let x = self.sampler.step(cx, x, from, to, state);
        let known = if cx.done() + 1 == cx.steps() {
            latent.clone()
        } else {
            linear_combination([(to.alpha, latent.clone()), (to.sigma, noise.clone())])
        };
        known.clone() + mask.clone() * (x - known)
    }

    fn order(&self) -> Option<usize> {
        Sampler::<4>::order(&self.sampler)
    }

    fn is_stochastic(&self) -> bool {
        Sampler::<4>::is_stochastic(&self.sampler)
    }

    fn calls(&self) -> usize {
        Sampler::<4>::calls(&self.sampler)
    }

    fn check(
        &self,
        shape: [usize; 4],
        levels: &Levels,
        schedule: &dyn NoiseSchedule,
    ) -> Result<(), SamplingError> {
        self.sampler.check(shape, levels, schedule)
    }
}
