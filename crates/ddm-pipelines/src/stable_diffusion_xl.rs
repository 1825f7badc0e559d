//! Stable Diffusion XL.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use ddm_diffusers::SchedulerConfig;
use ddm_models::text::ClipText;
use ddm_models::{AddedConditions, UNetCondition};
use ddm_noise::NoiseSource;

use crate::latent_diffusion::LatentDiffusion;
use crate::request::Takes;
use crate::stable_diffusion::CLIP_TOKENIZERS;
use crate::{Generation, Loading, Part, Pipeline, PipelineError, Request, Tokenizer};

/// Stable Diffusion XL, its Turbo and Lightning forms: text to image, image to image, inpainting,
/// ControlNet.
///
/// The U-Net sees the last but one states of two text encoders side by side, the pooled text of the
/// second, and the sizes of the image. It is diffusers' `StableDiffusionXLPipeline` and those of the
/// other tasks. Source: Podell et al., *SDXL*, arXiv 2307.01952; Turbo, which takes a guidance scale of
/// 0: Sauer et al., *Adversarial Diffusion Distillation*, arXiv 2311.17042.
#[derive(Debug)]
pub struct StableDiffusionXl {
    /// The tokenizers of both text encoders.
    pub tokenizers: [Tokenizer; 2],
    /// The first text encoder.
    pub text_encoder: Part<ClipText>,
    /// The second text encoder, which has a projection.
    pub text_encoder_2: Part<ClipText>,
    /// The U-Net, the autoencoder and the scheduler.
    pub diffusion: LatentDiffusion,
    /// Whether zeros stand for a negative prompt that is not given.
    pub zeros_for_no_negative: bool,
}

/// An encoded prompt.
#[derive(Clone, Debug)]
pub struct TextXl {
    /// The states of both encoders, `[1, length, width + width 2]`.
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
        let tokenizer = |name| Tokenizer::open(directory.part(name, &CLIP_TOKENIZERS)?);
        let encoder = |name, class| {
            let path = directory.part(name, &[class])?;
            Ok::<_, PipelineError>(loading.part(path))
        };
        Ok(Self {
            tokenizers: [tokenizer("tokenizer")?, tokenizer("tokenizer_2")?],
            text_encoder: encoder("text_encoder", "CLIPTextModel")?,
            text_encoder_2: encoder("text_encoder_2", "CLIPTextModelWithProjection")?,
            diffusion: LatentDiffusion::open(&directory, loading)?,
            zeros_for_no_negative: directory.flag("force_zeros_for_empty_prompt"),
        })
    }

    /// Encodes a prompt.
    ///
    /// # Errors
    ///
    /// Returns an error if an encoder has to be loaded and cannot, or a tokenizer does not fit it.
    pub fn encode(&self, prompt: &str) -> Result<TextXl, PipelineError> {
        let (mut states, mut pooled, mut dropped) = (Vec::new(), None, Vec::new());
        for (tokenizer, encoder) in
            self.tokenizers.iter().zip([&self.text_encoder, &self.text_encoder_2])
        {
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

    fn condition(&self, text: TextXl, request: &Request) -> Result<UNetCondition, PipelineError> {
        let [batch, _, height, width] = self.diffusion.geometry.shape(request)?;
        let factor = self.diffusion.geometry.factor;
        let image = [height * factor, width * factor];
        let sizes = request.sizes;
        let numbers = [sizes.original.unwrap_or(image), sizes.crop, sizes.target.unwrap_or(image)];
        let numbers = numbers.as_flattened().iter().map(|&pixels| pixels as f32);
        let numbers: Vec<f32> = numbers.collect();
        let time_ids = Tensor::<1>::from_floats(&*numbers, &self.diffusion.device);
        let added = AddedConditions {
            text_embeds: text.pooled.repeat_dim(0, batch),
            time_ids: time_ids.reshape([1, 6]).repeat_dim(0, batch),
        };
        let condition = UNetCondition::new(text.states.repeat_dim(0, batch));
        Ok(UNetCondition { added: Some(added), ..condition })
    }
}

/// What a CLIP text encoder gives the larger models.
pub(crate) struct Penultimate {
    /// The states before the last layer, without the final norm, `[1, length, width]`.
    pub(crate) states: Tensor<3>,
    /// The projected state at the end of the text, if there is a projection, `[1, width]`.
    pub(crate) projected: Option<Tensor<2>>,
    /// How many tokens were cut off.
    pub(crate) dropped: usize,
}

/// Encodes a prompt with a CLIP text encoder.
pub(crate) fn penultimate(
    tokenizer: &Tokenizer,
    encoder: &Part<ClipText>,
    prompt: &str,
    device: &Device,
) -> Result<Penultimate, PipelineError> {
    let tokens = tokenizer.encode(prompt, None)?;
    let mut output = encoder.get()?.forward(tokens.ids(device))?;
    output.hidden_states.pop();
    let states = output.hidden_states.pop().unwrap_or(output.last_hidden_state);
    Ok(Penultimate { states, projected: output.text_embeds, dropped: tokens.dropped })
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
            control: self.diffusion.controlnet.is_some(),
            sizes: true,
            ..Takes::default()
        })?;
        let scale = request.guidance.unwrap_or(5.0);
        let text = self.encode(&request.prompt)?;
        let dropped = text.dropped.clone();
        let null = (scale > 1.0).then(|| match &request.negative {
            None if self.zeros_for_no_negative => Ok(TextXl {
                states: text.states.zeros_like(),
                pooled: text.pooled.zeros_like(),
                dropped: Vec::new(),
            }),
            negative => self.encode(negative.as_deref().unwrap_or_default()),
        });
        let null = null.transpose()?.map(|null| self.condition(null, request)).transpose()?;
        let conditions = (self.condition(text, request)?, null);
        let run = self.diffusion.start(request, conditions, (scale, 50), noise)?;
        Ok(run.with_dropped(dropped))
    }

    fn scheduler(&self) -> &SchedulerConfig {
        &self.diffusion.scheduler
    }
}
