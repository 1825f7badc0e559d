//! What the pipelines of Stable Diffusion share.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use ddm_denoiser::linear_combination;
use ddm_diffusers::{SchedulerConfig, SetTimesteps};
use ddm_models::{Control, ControlNet, UNet2dCondition, UNetCondition};
use ddm_noise::NoiseSource;
use ddm_schedule::Levels;

use crate::control::{Beside, Controlled, Steered, UNet, active};
use crate::geometry::{Geometry, draw, from_noise, repeated};
use crate::guided::guided;
use crate::inpaint::Known;
use crate::run::{Generation, Latents, Start};
use crate::{ControlImage, Part, PipelineError, Request};

/// A U-Net in the latent space of an autoencoder, perhaps with a ControlNet: text to image, image to
/// image, and inpainting.
///
/// Sources: Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion Models*,
/// arXiv 2112.10752; image to image: Meng et al., *SDEdit*, arXiv 2108.01073; ControlNet: Zhang et al.,
/// *Adding Conditional Control to Text-to-Image Diffusion Models*, arXiv 2302.05543.
#[derive(Debug)]
pub struct LatentDiffusion {
    /// The U-Net.
    pub unet: Part<UNet2dCondition>,
    /// The autoencoder with the scale of its latents.
    pub autoencoder: Part<Latents>,
    /// A small autoencoder for previews.
    pub preview: Option<Part<Latents>>,
    /// The ControlNet.
    pub controlnet: Option<Part<ControlNet>>,
    /// The scheduler, unless a request has another.
    pub scheduler: SchedulerConfig,
    pub(crate) device: Device,
    pub(crate) geometry: Geometry,
    /// The channels of the U-Net's input, of which x is the first part.
    pub(crate) in_channels: usize,
}

/// The condition, and the one that guidance leads away from.
pub(crate) type Conditions = (UNetCondition, Option<UNetCondition>);

impl LatentDiffusion {
    /// Starts a run with encoded prompts.
    pub(crate) fn start(
        &self,
        request: &Request,
        conditions: Conditions,
        (scale, steps): (f64, usize),
        mut noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError> {
        let scheduler = request.scheduler.as_ref().unwrap_or(&self.scheduler);
        let shape = self.geometry.shape(request)?;
        let set = request.steps.clone().unwrap_or(steps.into());
        let mut unet: UNet = self.unet.get()?;
        let start = match &request.image {
            None => from_noise(scheduler, set, shape, request, (&mut *noise, &self.device))?,
            Some(image) => {
                let image = fitting(image, "the image", shape, self.geometry.factor, 3)?;
                self.start_from_image(image, scheduler, set, shape, request, &mut *noise)?
            }
        };
        let beside = self.in_channels - self.geometry.channels;
        if beside > 0 {
            let channels = self.rest_of_image(request, shape, &mut *noise)?;
            unet = Arc::new(Beside { unet, channels });
        }
        let denoiser = match &request.control {
            None => guided(scheduler, unet, conditions, scale, request)?,
            Some(image) => {
                let network = self.controlled(unet, image, &start.levels, scheduler, shape)?;
                let steered = |condition: UNetCondition, acts| Steered {
                    acts: vec![acts; shape[0]],
                    condition,
                };
                let (condition, null) = conditions;
                let null = null.map(|null| steered(null, !image.guess));
                let conditions = (steered(condition, true), null);
                guided(scheduler, network, conditions, scale, request)?
            }
        };
        let generation = Generation::start(scheduler.clone(), denoiser, start, noise)?;
        Ok(generation.decoded_by(&self.autoencoder, self.preview.as_ref()))
    }

    /// Returns the run that starts from an image.
    fn start_from_image(
        &self,
        image: Tensor<4>,
        scheduler: &SchedulerConfig,
        set: SetTimesteps,
        shape: [usize; 4],
        request: &Request,
        noise: &mut dyn NoiseSource,
    ) -> Result<Start, PipelineError> {
        let strength = request.strength.unwrap_or(if request.mask.is_some() { 1.0 } else { 0.8 });
        let image_batch = image.dims()[0];
        let steps = scheduler.levels(set.clone())?.steps();
        let levels = scheduler.levels_from(set, strength)?;
        let whole = request.mask.is_some() && strength == 1.0;
        // A network that sees the rest of the image needs no image at its start.
        let needed = !whole || self.in_channels == self.geometry.channels;
        let latent = needed.then(|| self.encoded(image, shape[0], noise)).transpose()?;
        let epsilon = draw(noise, shape, &self.device);
        let x = match &latent {
            Some(latent) if !whole => linear_combination([
                (levels[0].alpha, latent.clone()),
                (levels[0].sigma, epsilon.clone()),
            ]),
            _ => epsilon.clone() * scheduler.start_scale(levels[0]),
        };
        let known = match (&request.mask, latent) {
            (Some(mask), Some(latent)) if self.in_channels == self.geometry.channels => {
                // diffusers encodes what stays of the image for these networks too, and drops it.
                draw(noise, [image_batch, shape[1], shape[2], shape[3]], &self.device);
                Some(Known { latent, noise: epsilon, mask: self.latent_mask(mask, shape)? })
            }
            _ => None,
        };
        Ok(Start { x, levels, steps, args: request.step, known })
    }

    /// Returns the latent of an image, drawn from its posterior, `batch` times.
    fn encoded(
        &self,
        image: Tensor<4>,
        batch: usize,
        noise: &mut dyn NoiseSource,
    ) -> Result<Tensor<4>, PipelineError> {
        let space = self.autoencoder.get()?;
        let image = image * 2.0 - 1.0;
        let [images, _, height, width] = image.dims();
        let factor = self.geometry.factor;
        let shape = [images, self.geometry.channels, height / factor, width / factor];
        let epsilon = draw(noise, shape, &self.device);
        Ok(repeated(space.encode_sample(image, epsilon), batch))
    }

    /// Returns the channels that an inpainting network sees: the mask, and the latent of what stays.
    fn rest_of_image(
        &self,
        request: &Request,
        shape: [usize; 4],
        noise: &mut dyn NoiseSource,
    ) -> Result<Tensor<4>, PipelineError> {
        let Some(mask) = &request.mask else {
            let what = "an image and a mask, since its U-Net was trained to inpaint";
            return Err(PipelineError::Needed { pipeline: "the pipeline", what });
        };
        let beside = self.in_channels - self.geometry.channels;
        let allowed =
            format!("{}, those of the latent and of the mask", self.geometry.channels + 1);
        let what = "the number of channels beside x";
        PipelineError::require(beside == self.geometry.channels + 1, what, beside, allowed)?;
        let latent = self.masked_latent(request, shape, noise)?;
        let mask = repeated(self.latent_mask(mask, shape)?, shape[0]);
        Ok(Tensor::cat(vec![mask, latent], 1))
    }

    /// Returns the latent of the image without its masked part.
    fn masked_latent(
        &self,
        request: &Request,
        shape: [usize; 4],
        noise: &mut dyn NoiseSource,
    ) -> Result<Tensor<4>, PipelineError> {
        let (Some(image), Some(mask)) = (&request.image, &request.mask) else {
            return Err(PipelineError::Needed { pipeline: "inpainting", what: "image and mask" });
        };
        let factor = self.geometry.factor;
        let image = fitting(image, "the image", shape, factor, 3)?;
        let mask = fitting(mask, "the mask", shape, factor, 1)?;
        let batch = image.dims()[0].max(mask.dims()[0]);
        // Grey, 0 in [−1, 1], in place of what is painted anew.
        let stays = repeated(mask, batch).lower_elem(0.5).float();
        let image = (repeated(image, batch) - 0.5) * stays + 0.5;
        self.encoded(image, shape[0], noise)
    }

    /// Returns a mask in the size of latents: 1 where the image is painted anew.
    fn latent_mask(&self, mask: &Tensor<4>, shape: [usize; 4]) -> Result<Tensor<4>, PipelineError> {
        let factor = self.geometry.factor;
        let mask = fitting(mask, "the mask", shape, factor, 1)?.greater_equal_elem(0.5).float();
        let ([masks, ..], [_, _, height, width]) = (mask.dims(), shape);
        // The nearest pixel, as torch takes it: the first of each block.
        let blocks = mask.reshape([masks * height, factor, width, factor]);
        let first = blocks.narrow(1, 0, 1).narrow(3, 0, 1);
        Ok(repeated(first.reshape([masks, 1, height, width]), shape[0]))
    }

    fn controlled(
        &self,
        unet: UNet,
        control: &ControlImage,
        levels: &Levels,
        scheduler: &SchedulerConfig,
        shape: [usize; 4],
    ) -> Result<Controlled, PipelineError> {
        let Some(controlnet) = &self.controlnet else {
            let what = "a ControlNet for the control image";
            return Err(PipelineError::Needed { pipeline: "the pipeline", what });
        };
        let channels = control.image.dims()[1];
        let image =
            fitting(&control.image, "the control image", shape, self.geometry.factor, channels)?;
        Ok(Controlled {
            unet,
            controlnet: controlnet.get()?,
            control: Control {
                image: repeated(image, shape[0]),
                conditioning_scale: control.scale,
                guess_mode: control.guess,
            },
            active: active(control, levels, scheduler)?,
        })
    }
}

/// Returns the image if it has the right size and number of channels.
fn fitting(
    image: &Tensor<4>,
    what: &'static str,
    [batch, _, height, width]: [usize; 4],
    factor: usize,
    channels: usize,
) -> Result<Tensor<4>, PipelineError> {
    let found @ [images, ..] = image.dims();
    let size = [channels, factor * height, factor * width];
    let fits = found[1..] == size && (images == batch || images == 1);
    let batches = if batch == 1 { "1".to_owned() } else { format!("1 or {batch}") };
    let allowed = format!("[{batches}, {}, {}, {}]", size[0], size[1], size[2]);
    PipelineError::require(fits, what, format!("{found:?}"), allowed)?;
    Ok(image.clone())
}
