//! What the pipelines of Stable Diffusion share.

use std::sync::Arc;

use burn::tensor::Device;
use ddm_diffusers::{Class, SchedulerConfig, SetTimesteps};
use ddm_models::{Control, ControlNet, Prepared, UNet2dCondition, UNetCondition};
use ddm_noise::NoiseSource;
use ddm_schedule::Levels;
use serde_json::Value;

use crate::control::{Beside, Controlled, Steered, UNet, active};
use crate::geometry::{Geometry, repeated};
use crate::guided::guided;
use crate::image::Space;
use crate::run::{Generation, Latents};
use crate::start::{Plan, Start};
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
    pub unet: Part<Prepared<UNet2dCondition>>,
    /// The autoencoder with the scale of its latents.
    pub autoencoder: Part<Latents>,
    /// A small autoencoder for previews.
    pub preview: Option<Part<Latents>>,
    /// The ControlNet.
    pub controlnet: Option<Part<Prepared<ControlNet>>>,
    /// The scheduler, unless a request has another.
    pub scheduler: SchedulerConfig,
    pub(crate) device: Device,
    pub(crate) geometry: Geometry,
    /// The channels of the U-Net's input, of which x is the first part.
    pub(crate) in_channels: usize,
    /// The size of the embedded guidance scale, if the U-Net takes it. It is here so that the U-Net
    /// need not be there before the text encoder is gone.
    pub(crate) time_cond_size: Option<usize>,
}

/// The condition, and the one that guidance leads away from.
pub(crate) type Conditions = (UNetCondition, Option<UNetCondition>);

/// What a pipeline takes where a request has nothing.
#[derive(Clone, Copy)]
pub(crate) struct Defaults {
    /// The number of steps.
    pub(crate) steps: usize,
    /// How much of an image changes.
    pub(crate) strength: f64,
    /// The same where a mask says what does.
    pub(crate) strength_in_mask: f64,
    /// Whether a strength shortens the schedule, and not the run: see [`shortened`].
    pub(crate) consistency: bool,
}

impl LatentDiffusion {
    /// Starts a run with encoded prompts.
    pub(crate) fn start(
        &self,
        request: &Request,
        conditions: Conditions,
        (scale, defaults): (f64, Defaults),
        mut noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError> {
        let scheduler = request.scheduler.as_ref().unwrap_or(&self.scheduler);
        let shape = self.geometry.shape(request)?;
        let set = request.steps.clone().unwrap_or(defaults.steps.into());
        let plan = Plan { scheduler, set, shape, request, device: &self.device };
        let mut unet: UNet = self.unet.get()?;
        let start = self.begin(&plan, defaults, &mut *noise)?;
        if self.in_channels > self.geometry.channels {
            let channels = self.rest_of_image(&plan, &mut *noise)?;
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

    /// Returns where the run begins: in noise, an image, or the latents of another run.
    fn begin(
        &self,
        plan: &Plan<'_>,
        defaults: Defaults,
        noise: &mut dyn NoiseSource,
    ) -> Result<Start, PipelineError> {
        let request = plan.request;
        if let (Some(latent), Some(at)) = (&request.latent, request.denoising_start) {
            return plan.handed_over(latent, at);
        }
        let Some(image) = &request.image else { return plan.pure_noise(noise) };
        let image = self.space().fitting(image, "the image", plan.shape, 3)?;
        if let Some(mask) = &request.mask {
            let strength = request.strength.unwrap_or(defaults.strength_in_mask);
            return self.inpainted(image, mask, strength, plan, noise);
        }
        let strength = request.strength.unwrap_or(defaults.strength);
        let scheduler = plan.scheduler;
        let levels = match plan.set.number() {
            Some(steps) if defaults.consistency && scheduler.class() == Class::Lcm => {
                scheduler.levels(shortened(scheduler, steps, strength)?)?
            }
            _ => scheduler.levels_from(plan.set.clone(), strength)?,
        };
        let latent = self.space().encoded(image, plan, noise)?;
        plan.noised(latent, levels, noise)
    }

    pub(crate) fn space(&self) -> Space<'_> {
        Space { autoencoder: &self.autoencoder, geometry: self.geometry }
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
        let image = self.space().fitting(&control.image, "the control image", shape, channels)?;
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

/// Returns `steps` timesteps of a latent consistency model for an image: as many as without one, evenly
/// from the lower part of the timesteps that it was distilled on.
///
/// Source: diffusers' `LCMScheduler.set_timesteps`.
fn shortened(
    scheduler: &SchedulerConfig,
    steps: usize,
    strength: f64,
) -> Result<SetTimesteps, PipelineError> {
    let setting = |name| scheduler.get(name).and_then(Value::as_u64);
    let trained = setting("num_train_timesteps").unwrap_or(1000);
    let distilled = setting("original_inference_steps").unwrap_or(50).clamp(1, trained.max(1));
    let stride = trained / distilled;
    let lower = (distilled as f64 * strength) as u64;
    let fits = strength > 0.0 && strength <= 1.0 && steps > 0 && steps as u64 <= lower;
    let allowed =
        format!("above 0, at most 1, and at least {steps}/{distilled}, to keep {steps} steps");
    PipelineError::require(fits, "the strength", strength, allowed)?;
    // Rounded as NumPy rounds its even spacing.
    let spacing = lower as f64 / steps as f64;
    let timestep = |step: usize| (lower - (step as f64 * spacing) as u64) * stride - 1;
    Ok(SetTimesteps::timesteps((0..steps).map(|step| timestep(step) as f64)))
}
