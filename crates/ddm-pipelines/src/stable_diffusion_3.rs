//! Stable Diffusion 3 and 3.5.

use std::path::Path;

use burn::tensor::Tensor;
use ddm_diffusers::SchedulerConfig;
use ddm_models::Prepared;
use ddm_models::text::{ClipText, T5Encoder};
use ddm_models::transformer::{Sd3Conditions, Sd3Transformer};
use ddm_noise::NoiseSource;

use crate::encoders::{clip, penultimate, t5};
use crate::geometry::{Geometry, size};
use crate::takes::Takes;
use crate::transformers::{LatentTransformer, shift};
use crate::{Generation, Loading, Part, Pipeline, PipelineError, Request, Tokenizer};

/// Stable Diffusion 3 and 3.5: text to image and image to image by a flow.
///
/// The transformer sees the states of two CLIP encoders side by side, padded to T5's width, and behind
/// them T5's; and both pooled texts. Without T5, zeros stand in its place. It is diffusers'
/// `StableDiffusion3Pipeline` and `StableDiffusion3Img2ImgPipeline`. Source: Esser et al., *Scaling
/// Rectified Flow Transformers for High-Resolution Image Synthesis*, arXiv 2403.03206.
#[derive(Debug)]
pub struct StableDiffusion3 {
    /// The tokenizers of both CLIP encoders.
    pub tokenizers: [Tokenizer; 2],
    /// Both CLIP encoders, which have projections.
    pub text_encoders: [Part<Prepared<ClipText>>; 2],
    /// T5 and its tokenizer; `None` to do without.
    pub t5: Option<(Tokenizer, Part<Prepared<T5Encoder>>)>,
    /// The transformer.
    pub transformer: Part<Prepared<Sd3Transformer>>,
    /// The autoencoder and the scheduler.
    pub latents: LatentTransformer,
    /// The width of the text's states.
    width: usize,
}

impl StableDiffusion3 {
    /// Opens a pipeline's directory. Networks are loaded when they are needed.
    ///
    /// # Errors
    ///
    /// Returns an error if a config or a tokenizer cannot be read, or a part is missing or of a class
    /// that does not belong to this pipeline.
    pub fn open(directory: impl AsRef<Path>, loading: &Loading) -> Result<Self, PipelineError> {
        let directory = loading.open(directory.as_ref())?;
        let class = "CLIPTextModelWithProjection";
        let encoder = |tokenizer, encoder| clip(&directory, loading, (tokenizer, encoder), class);
        let (tokenizer, text_encoder) = encoder("tokenizer", "text_encoder")?;
        let (tokenizer_2, text_encoder_2) = encoder("tokenizer_2", "text_encoder_2")?;
        let path = directory.part("transformer", &["SD3Transformer2DModel"])?;
        let (latents, config) = LatentTransformer::open(&directory, loading, 16)?;
        Ok(Self {
            tokenizers: [tokenizer, tokenizer_2],
            text_encoders: [text_encoder, text_encoder_2],
            t5: t5(&directory, loading, ("tokenizer_3", "text_encoder_3"))?,
            transformer: loading.part(path),
            latents,
            width: size(&config, "joint_attention_dim").unwrap_or(4096),
        })
    }

    /// Encodes a prompt, with `length` tokens for T5: `[1, length of CLIP + length, width]` and
    /// `[1, pooled width]`; and says how many tokens each tokenizer cut off.
    ///
    /// # Errors
    ///
    /// Returns an error if an encoder has to be loaded and cannot, or a tokenizer does not fit it.
    pub fn encode(
        &self,
        prompt: &str,
        length: usize,
    ) -> Result<(Sd3Conditions, Vec<usize>), PipelineError> {
        let device = &self.latents.device;
        let (mut states, mut pooled, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        for (tokenizer, encoder) in self.tokenizers.iter().zip(&self.text_encoders) {
            let text = penultimate(tokenizer, encoder, prompt, device)?;
            states.push(text.states);
            pooled.extend(text.projected);
            dropped.push(text.dropped);
        }
        let clip = Tensor::cat(states, 2);
        let [_, tokens, width] = clip.dims();
        let allowed = format!("at most {}, the width of the transformer's text", self.width);
        PipelineError::require(width <= self.width, "the width of CLIP's states", width, allowed)?;
        let rest = Tensor::zeros([1, tokens, self.width - width], (device, clip.dtype()));
        let clip = Tensor::cat(vec![clip, rest], 2);
        let t5 = match &self.t5 {
            Some((tokenizer, encoder)) => {
                let tokens = tokenizer.encode(prompt, Some(length))?;
                dropped.push(tokens.dropped);
                encoder.get()?.forward(tokens.ids(device), None)?.cast(clip.dtype())
            }
            None => Tensor::zeros([1, length, self.width], (device, clip.dtype())),
        };
        let conditions = Sd3Conditions {
            encoder_hidden_states: Tensor::cat(vec![clip, t5], 1),
            pooled_projections: Tensor::cat(pooled, 1),
        };
        Ok((conditions, dropped))
    }
}

impl Pipeline for StableDiffusion3 {
    fn start(
        &self,
        request: &Request,
        noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError> {
        request.check(Takes {
            name: "Stable Diffusion 3",
            prompt: true,
            negative: true,
            size: true,
            guidance: true,
            image: true,
            sequence_length: true,
            ..Takes::default()
        })?;
        let scale = request.guidance.unwrap_or(7.0);
        let length = request.max_sequence_length.unwrap_or(256);
        let for_batch = |conditions: Sd3Conditions| Sd3Conditions {
            encoder_hidden_states: conditions.encoder_hidden_states.repeat_dim(0, request.batch),
            pooled_projections: conditions.pooled_projections.repeat_dim(0, request.batch),
        };
        let (condition, dropped) = self.encode(&request.prompt, length)?;
        let null = request.null(scale, |text| Ok(for_batch(self.encode(text, length)?.0)))?;
        let conditions = (for_batch(condition), null);
        let mut set = request.steps.clone().unwrap_or(28.into());
        let scheduler = self.latents.scheduler(request);
        if scheduler.get("use_dynamic_shifting") == Some(&true.into()) {
            let Geometry { multiple, .. } = self.latents.geometry;
            let [_, _, height, width] = self.latents.geometry.shape(request)?;
            set = set.mu(shift(scheduler, height / multiple * (width / multiple)));
        }
        let network = self.transformer.get()?;
        let run = self.latents.start(request, network, conditions, (scale, set), noise)?;
        Ok(run.with_dropped(dropped))
    }

    fn scheduler(&self) -> &SchedulerConfig {
        &self.latents.scheduler
    }
}
