//! Stable Diffusion XL.

use std::path::Path;

use burn::tensor::Tensor;
use ddm_diffusers::SchedulerConfig;
use ddm_models::text::ClipText;
use ddm_models::{AddedConditions, Prepared, UNetCondition};
use ddm_noise::NoiseSource;

use crate::encoders::{clip, penultimate};
use crate::latent_diffusion::{Defaults, LatentDiffusion};
use crate::takes::Takes;
use crate::{Generation, Loading, Part, Pipeline, PipelineError, Request, Sizes, Tokenizer};

/// Stable Diffusion XL, its Turbo and Lightning forms and its refiner: text to image, image to image,
/// inpainting, ControlNet.
///
/// The U-Net sees the last but one states of two text encoders side by side, the pooled text of the
/// second, and the sizes of the image. It is diffusers' `StableDiffusionXLPipeline` and those of the
/// other tasks. Source: Podell et al., *SDXL*, arXiv 2307.01952; Turbo, which takes a guidance scale of
/// 0: Sauer et al., *Adversarial Diffusion Distillation*, arXiv 2311.17042.
///
/// The refiner, which has the second encoder alone and is conditioned on an aesthetic score, takes the
/// last steps of a run (sec. 2.5 there), or an image:
///
/// ```no_run
/// use burn::tensor::Device;
/// use ddm_noise::TorchNoise;
/// use ddm_pipelines::{Loading, Pipeline, Request, StableDiffusionXl};
/// let loading = Loading::new(&Device::flex());
/// let base = StableDiffusionXl::open("stable-diffusion-xl-base-1.0", &loading)?;
/// let refiner = StableDiffusionXl::open("stable-diffusion-xl-refiner-1.0", &loading)?;
/// let request = Request { prompt: "a photo of a cat".to_owned(), ..Request::default() };
/// let first = Request { denoising_end: Some(0.8), ..request.clone() };
/// let latent = Some(base.start(&first, Box::new(TorchNoise::new(1)))?.latents());
/// let rest = Request { latent, denoising_start: Some(0.8), ..request };
/// let images = refiner.start(&rest, Box::new(TorchNoise::new(2)))?.images()?;
/// # Ok::<(), ddm_pipelines::PipelineError>(())
/// ```
///
/// Both must have the same scheduler and number of steps.
#[derive(Debug)]
pub struct StableDiffusionXl {
    /// The first text encoder and its tokenizer; the refiner has none.
    pub first: Option<(Tokenizer, Part<Prepared<ClipText>>)>,
    /// The second text encoder, which has a projection, and its tokenizer.
    pub second: (Tokenizer, Part<Prepared<ClipText>>),
    /// The U-Net, the autoencoder and the scheduler.
    pub diffusion: LatentDiffusion,
    /// Whether zeros stand for a negative prompt that is not given.
    pub zeros_for_no_negative: bool,
    /// Whether the U-Net is conditioned on an aesthetic score, as the refiner's, in place of the size that
    /// is aimed at.
    pub aesthetic: bool,
}

/// An encoded prompt.
#[derive(Clone, Debug)]
pub struct TextXl {
    /// The states of the encoders side by side, `[1, length, width + width 2]`.
    pub states: Tensor<3>,
    /// The pooled text of the second, `[1, projected width]`.
    pub pooled: Tensor<2>,
    /// For each tokenizer how many tokens were cut off.
    pub dropped: Vec<usize>,
}

impl StableDiffusionXl {
    /// Opens a pipeline's directory. Networks are loaded when they are needed.
    ///
    /// # Errors
    ///
    /// Returns an error if a config or a tokenizer cannot be read, or a part is missing or of a class
    /// that does not belong to this pipeline.
    pub fn open(directory: impl AsRef<Path>, loading: &Loading) -> Result<Self, PipelineError> {
        let directory = loading.open(directory.as_ref())?;
        let encoder =
            |tokenizer, encoder, class| clip(&directory, loading, (tokenizer, encoder), class);
        let aesthetic = directory.flag("requires_aesthetics_score");
        // The refiner has none; in other pipelines it must not be missing.
        let has_first = directory.class_of("text_encoder").is_some() || !aesthetic;
        let first = has_first.then(|| encoder("tokenizer", "text_encoder", "CLIPTextModel"));
        Ok(Self {
            first: first.transpose()?,
            second: encoder("tokenizer_2", "text_encoder_2", "CLIPTextModelWithProjection")?,
            diffusion: LatentDiffusion::open(&directory, loading)?,
            zeros_for_no_negative: directory.flag("force_zeros_for_empty_prompt"),
            aesthetic,
        })
    }

    /// Encodes a prompt.
    ///
    /// # Errors
    ///
    /// Returns an error if an encoder has to be loaded and cannot, or a tokenizer does not fit it.
    pub fn encode(&self, prompt: &str) -> Result<TextXl, PipelineError> {
        let (mut states, mut pooled, mut dropped) = (Vec::new(), None, Vec::new());
        for (tokenizer, encoder) in self.first.iter().chain([&self.second]) {
            let text = penultimate(tokenizer, encoder, prompt, &self.diffusion.device)?;
            states.push(text.states);
            pooled = text.projected;
            dropped.push(text.dropped);
        }
        let needed = PipelineError::Needed {
            pipeline: "Stable Diffusion XL",
            what: "a second text encoder with a projection",
        };
        Ok(TextXl { states: Tensor::cat(states, 2), pooled: pooled.ok_or(needed)?, dropped })
    }

    fn condition(
        &self,
        text: TextXl,
        request: &Request,
        negative: bool,
    ) -> Result<UNetCondition, PipelineError> {
        let [batch, _, height, width] = self.diffusion.geometry.shape(request)?;
        let factor = self.diffusion.geometry.factor;
        let image = [height * factor, width * factor];
        let Sizes { original, crop, target } = request.sizes;
        let sizes = [original.unwrap_or(image), crop, target.unwrap_or(image)];
        let mut numbers: Vec<f32> = sizes.as_flattened().iter().map(|&it| it as f32).collect();
        if self.aesthetic {
            numbers.truncate(4);
            let [score, negative_score] = request.aesthetic_scores.unwrap_or([6.0, 2.5]);
            numbers.push(if negative { negative_score } else { score } as f32);
            if negative {
                numbers[2..4].fill(0.0); // diffusers has no crop here
            }
        }
        let count = numbers.len();
        let time_ids = Tensor::<1>::from_floats(&*numbers, &self.diffusion.device);
        let added = AddedConditions {
            text_embeds: text.pooled.repeat_dim(0, batch),
            time_ids: time_ids.reshape([1, count]).repeat_dim(0, batch),
        };
        let condition = UNetCondition::new(text.states.repeat_dim(0, batch));
        Ok(UNetCondition { added: Some(added), ..condition })
    }
}

impl Pipeline for StableDiffusionXl {
    fn start(
        &self,
        request: &Request,
        noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError> {
        request.check(Takes {
            name: "Stable Diffusion XL",
            prompt: true,
            negative: true,
            size: true,
            guidance: true,
            image: true,
            mask: true,
            part: true,
            aesthetic_scores: self.aesthetic,
            control: self.diffusion.controlnet.is_some(),
            sizes: true,
            ..Takes::default()
        })?;
        if self.aesthetic && request.sizes.target.is_some() {
            let (pipeline, what) = ("the refiner of Stable Diffusion XL", "target size");
            return Err(PipelineError::NotTaken { pipeline, what, hint: None });
        }
        let scale = request.guidance.unwrap_or(5.0);
        let text = self.encode(&request.prompt)?;
        let dropped = text.dropped.clone();
        let null = request.null(scale, |negative| {
            let negative = match request.negative {
                None if self.zeros_for_no_negative => TextXl {
                    states: text.states.zeros_like(),
                    pooled: text.pooled.zeros_like(),
                    dropped: Vec::new(),
                },
                _ => self.encode(negative)?,
            };
            self.condition(negative, request, true)
        })?;
        let conditions = (self.condition(text, request, false)?, null);
        let consistency = false;
        let defaults = Defaults { steps: 50, strength: 0.3, strength_in_mask: 0.9999, consistency };
        let run = self.diffusion.start(request, conditions, (scale, defaults), noise)?;
        Ok(run.with_dropped(dropped))
    }

    fn scheduler(&self) -> &SchedulerConfig {
        &self.diffusion.scheduler
    }
}
