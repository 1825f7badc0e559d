//! Flux.1.

use std::path::Path;

use burn::tensor::Tensor;
use ddm_diffusers::{SchedulerConfig, SetTimesteps};
use ddm_models::Prepared;
use ddm_models::text::{ClipText, T5Encoder};
use ddm_models::transformer::{FluxConditions, FluxTransformer};
use ddm_noise::NoiseSource;

use crate::encoders::{clip, t5};
use crate::geometry::Geometry;
use crate::patches::{Unpacked, positions};
use crate::takes::Takes;
use crate::transformers::{LatentTransformer, shift};
use crate::{Generation, Loading, Part, Pipeline, PipelineError, Request, Tokenizer};

/// Flux.1 \[dev\] and \[schnell\]: text to image and image to image by a flow.
///
/// The transformer sees T5's states, CLIP's pooled text and, in \[dev\], the scale of the guidance that
/// it was distilled with; so there is no second branch. The levels are shifted by the number of
/// patches. It is diffusers' `FluxPipeline` and `FluxImg2ImgPipeline`. Sources: Black Forest Labs,
/// Flux.1, 2024; the shift: Esser et al., eq. 23, arXiv 2403.03206.
#[derive(Debug)]
pub struct Flux {
    /// CLIP's tokenizer.
    pub tokenizer: Tokenizer,
    /// CLIP.
    pub text_encoder: Part<Prepared<ClipText>>,
    /// T5's tokenizer.
    pub tokenizer_2: Tokenizer,
    /// T5.
    pub text_encoder_2: Part<Prepared<T5Encoder>>,
    /// The transformer.
    pub transformer: Part<Prepared<FluxTransformer>>,
    /// The autoencoder and the scheduler.
    pub latents: LatentTransformer,
}

impl Flux {
    /// Opens a pipeline's directory. Networks are loaded when they are needed.
    ///
    /// # Errors
    ///
    /// Returns an error if a config or a tokenizer cannot be read, or a part is missing or of a class
    /// that does not belong to this pipeline.
    pub fn open(directory: impl AsRef<Path>, loading: &Loading) -> Result<Self, PipelineError> {
        let directory = loading.open(directory.as_ref())?;
        let names = ("tokenizer", "text_encoder");
        let (tokenizer, text_encoder) = clip(&directory, loading, names, "CLIPTextModel")?;
        let Some((tokenizer_2, text_encoder_2)) =
            t5(&directory, loading, ("tokenizer_2", "text_encoder_2"))?
        else {
            return Err(PipelineError::Needed { pipeline: "Flux", what: "T5 as text_encoder_2" });
        };
        let path = directory.part("transformer", &["FluxTransformer2DModel"])?;
        let (mut latents, _) = LatentTransformer::open(&directory, loading, 64)?;
        // The transformer's channels are those of patches of 2×2.
        let Geometry { channels, factor, .. } = latents.geometry;
        latents.geometry = Geometry { channels: channels / 4, side: 128, factor, multiple: 2 };
        Ok(Self {
            tokenizer,
            text_encoder,
            tokenizer_2,
            text_encoder_2,
            transformer: loading.part(path),
            latents,
        })
    }

    /// Encodes a prompt, with `length` tokens for T5: T5's states, `[1, length, width]`, CLIP's pooled
    /// text, `[1, pooled width]`; and says how many tokens each tokenizer cut off.
    ///
    /// # Errors
    ///
    /// Returns an error if an encoder has to be loaded and cannot, or a tokenizer does not fit it.
    pub fn encode(
        &self,
        prompt: &str,
        length: usize,
    ) -> Result<(Tensor<3>, Tensor<2>, Vec<usize>), PipelineError> {
        let device = &self.latents.device;
        let clip = self.tokenizer.encode(prompt, None)?;
        let pooled = self.text_encoder.get()?.forward(clip.ids(device))?.pooled;
        let t5 = self.tokenizer_2.encode(prompt, Some(length))?;
        let states = self.text_encoder_2.get()?.forward(t5.ids(device), None)?;
        Ok((states, pooled, vec![clip.dropped, t5.dropped]))
    }
}

impl Pipeline for Flux {
    fn start(
        &self,
        request: &Request,
        noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError> {
        request.check(Takes {
            name: "Flux",
            prompt: true,
            size: true,
            guidance: true,
            image: true,
            sequence_length: true,
            ..Takes::default()
        })?;
        let device = &self.latents.device;
        let length = request.max_sequence_length.unwrap_or(512);
        let (states, pooled, dropped) = self.encode(&request.prompt, length)?;
        let [batch, _, height, width] = self.latents.geometry.shape(request)?;
        let transformer = self.transformer.get()?;
        let scale = request.guidance.unwrap_or(3.5);
        if request.guidance.is_some_and(|scale| scale > 1.0) && !transformer.takes_guidance() {
            let pipeline = "Flux of a network without an embedding of guidance, as [schnell],";
            return Err(PipelineError::NotTaken { pipeline, what: "guidance", hint: None });
        }
        let guidance =
            transformer.takes_guidance().then(|| Tensor::full([batch], scale as f32, device));
        let condition = FluxConditions {
            encoder_hidden_states: states.repeat_dim(0, batch),
            pooled_projections: pooled.repeat_dim(0, batch),
            img_ids: positions(height / 2, width / 2, device),
            txt_ids: Tensor::zeros([length, 3], device),
            guidance,
        };
        let network = Unpacked(transformer);
        let mu = shift(self.latents.scheduler(request), height / 2 * (width / 2));
        let set = request.steps.clone().unwrap_or(28.into());
        let set = evenly(set, self.latents.scheduler(request)).mu(mu);
        let run = self.latents.start(request, network, (condition, None), (scale, set), noise)?;
        Ok(run.with_dropped(dropped))
    }

    fn scheduler(&self) -> &SchedulerConfig {
        &self.latents.scheduler
    }
}

/// Returns the steps as σ = 1, …, 1/n, from which the config's shift starts.
fn evenly(set: SetTimesteps, scheduler: &SchedulerConfig) -> SetTimesteps {
    let own = scheduler.get("use_flow_sigmas") == Some(&true.into());
    match set.number() {
        Some(n) if n > 0 && !own => {
            // From 1 in equal strides, as the rounding has it that the models were tuned with.
            let stride = (1.0 / n as f64 - 1.0) / (n as f64 - 1.0).max(1.0);
            SetTimesteps::sigmas((0..n).map(|i| 1.0 + stride * i as f64))
        }
        _ => set,
    }
}
