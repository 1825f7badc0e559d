//! Stable Diffusion 1 and 2, and latent consistency models.

use std::path::Path;

use burn::tensor::Tensor;
use ddm_diffusers::SchedulerConfig;
use ddm_models::text::ClipText;
use ddm_models::{Prepared, TimestepEmbedding, UNetCondition};
use ddm_noise::NoiseSource;

use crate::encoders::clip;
use crate::geometry::{Geometry, size};
use crate::latent_diffusion::{Defaults, LatentDiffusion};
use crate::load::sizes;
use crate::takes::Takes;
use crate::{
    Generation, Loading, ModelDirectory, Part, Pipeline, PipelineError, Request, Tokenizer,
};

/// Stable Diffusion 1 and 2: text to image, image to image, inpainting, ControlNet; and latent
/// consistency models.
///
/// 1. The prompt and the negative prompt become states of CLIP's text encoder.
/// 2. A U-Net, guided away from the negative prompt, denoises a latent.
/// 3. The autoencoder makes an image of it.
///
/// It is diffusers' `StableDiffusionPipeline`, `StableDiffusionImg2ImgPipeline`,
/// `StableDiffusionInpaintPipeline`, `StableDiffusionControlNetPipeline`,
/// `LatentConsistencyModelPipeline` and `LatentConsistencyModelImg2ImgPipeline`. Sources: Rombach et
/// al., arXiv 2112.10752; guidance: Ho & Salimans, arXiv 2207.12598; consistency: Luo et al., *Latent
/// Consistency Models*, arXiv 2310.04378, whose networks take the scale of guidance as an input.
///
/// ```no_run
/// use burn::tensor::Device;
/// use ddm_noise::TorchNoise;
/// use ddm_pipelines::{Loading, Pipeline, Request, StableDiffusion};
/// let pipeline = StableDiffusion::open("stable-diffusion-v1-5", &Loading::new(&Device::flex()))?;
/// let prompt = "a photo of a cat".to_owned();
/// let request = Request { prompt, steps: Some(20.into()), ..Request::default() };
/// let mut run = pipeline.start(&request, Box::new(TorchNoise::new(1)))?;
/// for frame in run.by_ref() {
///     println!("σ = {}", frame.level.sigma);
/// }
/// let images = run.images()?; // [1, 3, 512, 512] in [0, 1]
/// # Ok::<(), ddm_pipelines::PipelineError>(())
/// ```
#[derive(Debug)]
pub struct StableDiffusion {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The text encoder.
    pub text_encoder: Part<Prepared<ClipText>>,
    /// The U-Net, the autoencoder and the scheduler.
    pub diffusion: LatentDiffusion,
    /// Whether it is a latent consistency model, which has other defaults.
    consistency: bool,
}

impl StableDiffusion {
    /// Opens a pipeline's directory. Networks are loaded when they are needed.
    ///
    /// # Errors
    ///
    /// Returns an error if a config or the tokenizer cannot be read, or a part is missing or of a
    /// class that does not belong to this pipeline.
    pub fn open(directory: impl AsRef<Path>, loading: &Loading) -> Result<Self, PipelineError> {
        let directory = loading.open(directory.as_ref())?;
        let names = ("tokenizer", "text_encoder");
        let (tokenizer, text_encoder) = clip(&directory, loading, names, "CLIPTextModel")?;
        let consistency = directory.class().starts_with("LatentConsistencyModel");
        let mut diffusion = LatentDiffusion::open(&directory, loading)?;
        if !consistency {
            diffusion.scheduler = as_trained(&diffusion.scheduler)?;
        }
        Ok(Self { tokenizer, text_encoder, diffusion, consistency })
    }

    /// Returns the states of the text encoder, `[1, length, width]`, and the number of tokens that
    /// were cut off.
    ///
    /// # Errors
    ///
    /// Returns an error if the encoder has to be loaded and cannot, or the tokenizer does not fit it.
    pub fn encode(&self, prompt: &str) -> Result<(Tensor<3>, usize), PipelineError> {
        let tokens = self.tokenizer.encode(prompt, None)?;
        let states = self.text_encoder.get()?.forward(tokens.ids(&self.diffusion.device))?;
        Ok((states.last_hidden_state, tokens.dropped))
    }
}

/// Returns the scheduler with what Stable Diffusion was trained with, whatever an old config says:
/// timesteps one row later, no clipping. diffusers' pipelines change configs in the same way.
fn as_trained(saved: &SchedulerConfig) -> Result<SchedulerConfig, PipelineError> {
    let mut changes = Vec::new();
    if saved.get("steps_offset").is_some_and(|offset| *offset != 1) {
        changes.push(("steps_offset", 1.into()));
    }
    if saved.get("clip_sample") == Some(&true.into()) {
        changes.push(("clip_sample", false.into()));
    }
    if changes.is_empty() {
        return Ok(saved.clone());
    }
    Ok(saved.with_class(saved.class(), changes)?)
}

impl LatentDiffusion {
    /// Opens the parts of a pipeline's directory that its versions share.
    pub(crate) fn open(
        directory: &ModelDirectory,
        loading: &Loading,
    ) -> Result<Self, PipelineError> {
        let (config, side, factor) = sizes(directory, "unet", "vae")?;
        let controlnet = directory.class_of("controlnet").map(|_| {
            let path = directory.part("controlnet", &["ControlNetModel"])?;
            Ok::<_, PipelineError>(loading.part(path))
        });
        let channels = size(&directory.config("vae")?, "latent_channels").unwrap_or(4);
        let in_channels = size(&config, "in_channels").unwrap_or(4);
        let enough = in_channels >= channels;
        let allowed = format!("at least {channels}, the channels of a latent");
        PipelineError::require(enough, "the U-Net's in_channels", in_channels, allowed)?;
        let path = directory.part("unet", &["UNet2DConditionModel"])?;
        Ok(Self {
            unet: loading.part(path),
            autoencoder: loading.autoencoder(directory, "vae")?,
            preview: loading.previewer(),
            controlnet: controlnet.transpose()?,
            scheduler: directory.scheduler()?,
            device: loading.device.clone(),
            geometry: Geometry { channels, side, factor, multiple: 1 },
            in_channels,
            time_cond_size: size(&config, "time_cond_proj_dim"),
        })
    }
}

impl Pipeline for StableDiffusion {
    fn start(
        &self,
        request: &Request,
        noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError> {
        request.check(Takes {
            name: "Stable Diffusion",
            prompt: true,
            negative: true,
            size: true,
            guidance: true,
            image: true,
            mask: true,
            control: self.diffusion.controlnet.is_some(),
            ..Takes::default()
        })?;
        let (scale, steps) = if self.consistency { (8.5, 4) } else { (7.5, 50) };
        let consistency = self.consistency;
        let defaults = Defaults { steps, strength: 0.8, strength_in_mask: 1.0, consistency };
        let scale = request.guidance.unwrap_or(scale);
        let distilled = self.diffusion.time_cond_size;
        let (text, mut dropped) = self.encode(&request.prompt)?;
        let batch = request.batch;
        let mut condition = UNetCondition::new(text.repeat_dim(0, batch));
        let null = match distilled {
            Some(size) => {
                let embedding = guidance_embedding(scale, size, batch, self)?;
                condition.timestep_cond = Some(embedding);
                None
            }
            None => request.null(scale, |negative| {
                let (text, more) = self.encode(negative)?;
                dropped = dropped.max(more);
                Ok(UNetCondition::new(text.repeat_dim(0, batch)))
            })?,
        };
        let run = self.diffusion.start(request, (condition, null), (scale, defaults), noise)?;
        Ok(run.with_dropped(vec![dropped]))
    }

    fn scheduler(&self) -> &SchedulerConfig {
        &self.diffusion.scheduler
    }
}

/// Returns the embedded scale w of guidance of a distilled network, `[batch, size]`: sines and cosines
/// of 1000 (w − 1).
fn guidance_embedding(
    scale: f64,
    size: usize,
    batch: usize,
    pipeline: &StableDiffusion,
) -> Result<Tensor<2>, PipelineError> {
    PipelineError::require(scale.is_finite(), "the guidance scale", scale, "finite")?;
    let scales = Tensor::<1>::full([batch], (scale - 1.0) * 1000.0, &pipeline.diffusion.device);
    let embedding = TimestepEmbedding::new(size).with_flip_sin_to_cos(false).with_freq_shift(1.0);
    Ok(embedding.forward(scales))
}
