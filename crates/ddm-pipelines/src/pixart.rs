//! PixArt-α and PixArt-Σ.

use std::borrow::Cow;
use std::path::Path;

use burn::tensor::{Int, Tensor};
use ddm_diffusers::SchedulerConfig;
use ddm_models::Prepared;
use ddm_models::text::T5Encoder;
use ddm_models::transformer::{PixArt, PixArtConditions};
use ddm_noise::NoiseSource;

use crate::bins::nearest;
use crate::encoders::t5;
use crate::first_channels::FirstChannels;
use crate::geometry::Geometry;
use crate::takes::Takes;
use crate::transformers::LatentTransformer;
use crate::{Generation, Loading, Part, Pipeline, PipelineError, Request, Tokenizer};

/// PixArt-α and PixArt-Σ: text to image.
///
/// The transformer sees T5's states of the prompt in small letters, without the padding. It is
/// diffusers' `PixArtAlphaPipeline` and `PixArtSigmaPipeline` with `clean_caption` false; their
/// `use_resolution_binning` is [`Request::binning`], which is off here, so that pictures have the size and
/// the cost of the request. Sources: Chen et al., *PixArt-α*, arXiv 2310.00426; *PixArt-Σ*,
/// arXiv 2403.04692.
#[derive(Debug)]
pub struct PixArtPipeline {
    /// T5's tokenizer.
    pub tokenizer: Tokenizer,
    /// T5.
    pub text_encoder: Part<Prepared<T5Encoder>>,
    /// The transformer.
    pub transformer: Part<Prepared<PixArt>>,
    /// The autoencoder and the scheduler.
    pub latents: LatentTransformer,
    /// Whether the transformer takes the size of the image.
    sized: bool,
    /// The number of tokens, by default.
    length: usize,
}

impl PixArtPipeline {
    /// Opens a pipeline's directory. Networks are loaded when they are needed.
    ///
    /// # Errors
    ///
    /// Returns an error if a config or the tokenizer cannot be read, or a part is missing or of a class
    /// that does not belong to this pipeline.
    pub fn open(directory: impl AsRef<Path>, loading: &Loading) -> Result<Self, PipelineError> {
        let directory = loading.open(directory.as_ref())?;
        let Some((tokenizer, text_encoder)) =
            t5(&directory, loading, ("tokenizer", "text_encoder"))?
        else {
            return Err(PipelineError::Needed { pipeline: "PixArt", what: "T5 as text_encoder" });
        };
        let (latents, config) = LatentTransformer::open(&directory, loading, 4)?;
        let path =
            directory.part("transformer", &["PixArtTransformer2DModel", "Transformer2DModel"])?;
        let additional = config["use_additional_conditions"].as_bool();
        Ok(Self {
            tokenizer,
            text_encoder,
            transformer: loading.part(path),
            sized: additional.unwrap_or(latents.geometry.side == 128),
            latents,
            length: if directory.class() == "PixArtSigmaPipeline" { 300 } else { 120 },
        })
    }

    /// Encodes a prompt in `length` tokens: T5's states, `[1, length, width]`, the mask of the text,
    /// `[1, length]`, and the number of tokens that were cut off.
    ///
    /// # Errors
    ///
    /// Returns an error if the encoder has to be loaded and cannot, or the tokenizer does not fit it.
    pub fn encode(
        &self,
        prompt: &str,
        length: usize,
    ) -> Result<(Tensor<3>, Tensor<2, Int>, usize), PipelineError> {
        let device = &self.latents.device;
        let tokens = self.tokenizer.encode(prompt.to_lowercase().trim(), Some(length))?;
        let (ids, mask) = (tokens.ids(device), tokens.mask(device));
        let states = self.text_encoder.get()?.forward(ids, Some(mask.clone()))?;
        Ok((states, mask, tokens.dropped))
    }
}

/// A request, and the size to which its images are then brought.
type Binned<'a> = (Cow<'a, Request>, Option<[usize; 2]>);

impl PixArtPipeline {
    /// Returns the request in the nearest size that the network was trained on.
    fn binned<'a>(&self, request: &'a Request) -> Result<Binned<'a>, PipelineError> {
        if !request.binning {
            return Ok((Cow::Borrowed(request), None));
        }
        let Geometry { side, factor, .. } = self.latents.geometry;
        let size = [request.height, request.width].map(|given| given.unwrap_or(side * factor));
        for (what, pixels) in [("the height", size[0]), ("the width", size[1])] {
            PipelineError::require(pixels > 0, what, pixels, "above 0")?;
        }
        let [height, width] = nearest(side, size)?;
        let (height, width) = (Some(height), Some(width));
        Ok((Cow::Owned(Request { height, width, ..request.clone() }), Some(size)))
    }
}

impl Pipeline for PixArtPipeline {
    fn start(
        &self,
        request: &Request,
        noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError> {
        request.check(Takes {
            name: "PixArt",
            prompt: true,
            negative: true,
            size: true,
            guidance: true,
            sequence_length: true,
            binning: true,
            ..Takes::default()
        })?;
        let (request, size) = self.binned(request)?;
        let request = &*request;
        let scale = request.guidance.unwrap_or(4.5);
        let length = request.max_sequence_length.unwrap_or(self.length);
        let [batch, _, height, width] = self.latents.geometry.shape(request)?;
        let factor = self.latents.geometry.factor as f32;
        let [height, width] = [height, width].map(|side| side as f32 * factor);
        let numbers = |numbers: &[f32]| {
            let row = Tensor::<1>::from_floats(numbers, &self.latents.device);
            self.sized.then(|| row.unsqueeze::<2>().repeat_dim(0, batch))
        };
        let condition = |(states, mask, _): (Tensor<3>, Tensor<2, Int>, usize)| PixArtConditions {
            encoder_hidden_states: states.repeat_dim(0, batch),
            encoder_attention_mask: Some(mask.repeat_dim(0, batch)),
            resolution: numbers(&[height, width]),
            aspect_ratio: numbers(&[height / width]),
        };
        let text = self.encode(&request.prompt, length)?;
        let dropped = vec![text.2];
        let null = request.null(scale, |text| self.encode(text, length).map(condition))?;
        let conditions = (condition(text), null);
        let network = FirstChannels(self.transformer.get()?);
        let set = request.steps.clone().unwrap_or(20.into());
        let run = self.latents.start(request, network, conditions, (scale, set), noise)?;
        Ok(run.with_dropped(dropped).in_size(size))
    }

    fn scheduler(&self) -> &SchedulerConfig {
        &self.latents.scheduler
    }
}
