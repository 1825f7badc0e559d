//! Painting a part of an image anew.

use burn::tensor::Tensor;
use ddm_denoiser::linear_combination;
use ddm_noise::NoiseSource;
use ddm_samplers::{BoxedSampler, Context, Sampler, SamplingError};
use ddm_schedule::{Levels, NoiseLevel, NoiseSchedule};

use crate::PipelineError;
use crate::geometry::repeated;
use crate::latent_diffusion::LatentDiffusion;
use crate::start::{Plan, Start, draw};

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

impl LatentDiffusion {
    /// Returns the run that paints a part of an image anew.
    pub(crate) fn inpainted(
        &self,
        image: Tensor<4>,
        mask: &Tensor<4>,
        strength: f64,
        plan: &Plan<'_>,
        noise: &mut dyn NoiseSource,
    ) -> Result<Start, PipelineError> {
        let [images, ..] = image.dims();
        let [_, channels, height, width] = plan.shape;
        let levels = plan.scheduler.levels_from(plan.set.clone(), strength)?;
        // A network that sees the rest of the image needs no image at its start.
        let untrained = self.in_channels == self.geometry.channels;
        let whole = strength == 1.0;
        let latent = (!whole || untrained).then(|| self.space().encoded(image, plan, noise));
        let latent = latent.transpose()?;
        let epsilon = plan.draw(noise);
        let x = match &latent {
            Some(latent) if !whole => linear_combination([
                (levels[0].alpha, latent.clone()),
                (levels[0].sigma, epsilon.clone()),
            ]),
            _ => epsilon.clone() * plan.scheduler.start_scale(levels[0]),
        };
        let mut start = plan.at(levels, x)?;
        if let Some(latent) = latent.filter(|_| untrained) {
            // diffusers encodes what stays of the image for these networks too, and drops it.
            draw(noise, [images, channels, height, width], plan.device);
            let mask = self.latent_mask(mask, plan.shape)?;
            start.known = Some(Known { latent, noise: epsilon, mask });
        }
        Ok(start)
    }

    /// Returns the channels that an inpainting network sees: the mask, and the latent of what stays.
    pub(crate) fn rest_of_image(
        &self,
        plan: &Plan<'_>,
        noise: &mut dyn NoiseSource,
    ) -> Result<Tensor<4>, PipelineError> {
        let Some(mask) = &plan.request.mask else {
            let what = "an image and a mask, since its U-Net was trained to inpaint";
            return Err(PipelineError::Needed { pipeline: "the pipeline", what });
        };
        let beside = self.in_channels - self.geometry.channels;
        let allowed =
            format!("{}, those of the latent and of the mask", self.geometry.channels + 1);
        let what = "the number of channels beside x";
        PipelineError::require(beside == self.geometry.channels + 1, what, beside, allowed)?;
        let latent = self.masked_latent(plan, noise)?;
        let mask = repeated(self.latent_mask(mask, plan.shape)?, plan.shape[0]);
        Ok(Tensor::cat(vec![mask, latent], 1))
    }

    /// Returns the latent of the image without its masked part.
    fn masked_latent(
        &self,
        plan: &Plan<'_>,
        noise: &mut dyn NoiseSource,
    ) -> Result<Tensor<4>, PipelineError> {
        let (shape, request) = (plan.shape, plan.request);
        let (Some(image), Some(mask)) = (&request.image, &request.mask) else {
            return Err(PipelineError::Needed { pipeline: "inpainting", what: "image and mask" });
        };
        let image = self.space().fitting(image, "the image", shape, 3)?;
        let mask = self.space().fitting(mask, "the mask", shape, 1)?;
        let batch = image.dims()[0].max(mask.dims()[0]);
        // Grey, 0 in [−1, 1], in place of what is painted anew.
        let stays = repeated(mask, batch).lower_elem(0.5).float();
        let image = (repeated(image, batch) - 0.5) * stays + 0.5;
        self.space().encoded(image, plan, noise)
    }

    /// Returns a mask in the size of latents: 1 where the image is painted anew.
    fn latent_mask(&self, mask: &Tensor<4>, shape: [usize; 4]) -> Result<Tensor<4>, PipelineError> {
        let factor = self.geometry.factor;
        let mask = self.space().fitting(mask, "the mask", shape, 1)?;
        let mask = mask.greater_equal_elem(0.5).float();
        let ([masks, ..], [_, _, height, width]) = (mask.dims(), shape);
        // The nearest pixel, as torch takes it: the first of each block.
        let blocks = mask.reshape([masks * height, factor, width, factor]);
        let first = blocks.narrow(1, 0, 1).narrow(3, 0, 1);
        Ok(repeated(first.reshape([masks, 1, height, width]), shape[0]))
    }
}
