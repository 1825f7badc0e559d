//! The text encoders of a single file.

use burn::tensor::{Device, TensorData};
use ddm_weights::{TensorView, Tensors, load};

use super::known::{UNUSED_BY_CLIP, UNUSED_BY_T5};
use super::shapes::Shapes;
use super::{Layout, Part, SingleFile, SingleFileError, clip_names, text_config};
use crate::text::{ClipText, ClipTextConfig, T5Encoder, T5EncoderConfig};

/// What may be before the names of T5.
const T5_PREFIX: &str = "transformer.";

/// The names of the table of T5's tokens.
const T5_TOKENS: [&str; 2] = ["shared.weight", "encoder.embed_tokens.weight"];

/// The name of CLIP's projection.
const PROJECTION: &str = "text_projection.weight";

impl SingleFile {
    /// Reads the config of the text encoder from its shapes. Heads have 64 channels, and the activation
    /// is that of OpenAI's CLIP (Stable Diffusion 1, and the first encoder of others) or of open_clip.
    ///
    /// Stable Diffusion 2 does not use the last layer, which its encoder then does not have.
    ///
    /// # Errors
    ///
    /// Returns an error if the file has no text encoder.
    pub fn text_encoder_config(&self) -> Result<ClipTextConfig, SingleFileError> {
        self.clip_config(Part::TextEncoder)
    }

    /// Loads the text encoder: the only CLIP, or the smaller of two.
    ///
    /// Stable Diffusion 3 takes the states of this encoder as its projection, so that files have none;
    /// it is then the identity.
    ///
    /// # Errors
    ///
    /// Returns an error if the file has none, the config is invalid, or a tensor is missing, unknown or
    /// of another shape.
    pub fn text_encoder(
        &self,
        config: &ClipTextConfig,
        device: &Device,
    ) -> Result<ClipText, SingleFileError> {
        self.clip(Part::TextEncoder, config, device)
    }

    /// Reads the config of the second text encoder from its shapes: that of SDXL, its refiner and Stable
    /// Diffusion 3, which projects.
    ///
    /// # Errors
    ///
    /// Returns an error if the file has no second text encoder.
    pub fn text_encoder_2_config(&self) -> Result<ClipTextConfig, SingleFileError> {
        self.clip_config(Part::TextEncoder2)
    }

    /// Loads the second text encoder: the larger CLIP.
    ///
    /// # Errors
    ///
    /// As [`text_encoder`](Self::text_encoder).
    pub fn text_encoder_2(
        &self,
        config: &ClipTextConfig,
        device: &Device,
    ) -> Result<ClipText, SingleFileError> {
        self.clip(Part::TextEncoder2, config, device)
    }

    /// Reads the config of the T5 encoder from its shapes.
    ///
    /// # Errors
    ///
    /// Returns an error if the file has no T5 encoder.
    pub fn t5_config(&self) -> Result<T5EncoderConfig, SingleFileError> {
        text_config::t5(&self.t5_shapes()?)
    }

    /// Loads the T5 encoder: the third of Stable Diffusion 3, and the second of Flux.
    ///
    /// # Errors
    ///
    /// As [`text_encoder`](Self::text_encoder).
    pub fn t5(
        &self,
        config: &T5EncoderConfig,
        device: &Device,
    ) -> Result<T5Encoder, SingleFileError> {
        let tensors = self.tensors(Part::T5)?;
        let has_shared = self.t5_shapes()?.has(T5_TOKENS[0]);
        let network = config.init(device)?;
        let tensors = tensors.rename(|name| {
            // The table of the tokens has one name or the other; with both, they are one table.
            Some(match name.strip_prefix(T5_PREFIX).unwrap_or(name) {
                name if name == T5_TOKENS[1] && has_shared => return None,
                name if name == T5_TOKENS[1] => T5_TOKENS[0].to_owned(),
                name => name.to_owned(),
            })
        })?;
        Ok(load(network, &tensors, &self.options.clone().ignoring(UNUSED_BY_T5))?)
    }

    fn t5_shapes(&self) -> Result<Shapes<'_>, SingleFileError> {
        Ok(Shapes::of(self, Part::T5)?.behind(&["", T5_PREFIX], &T5_TOKENS))
    }

    fn clip_config(&self, part: Part) -> Result<ClipTextConfig, SingleFileError> {
        let shapes = Shapes::of(self, part)?.behind(&clip_names::PREFIXES, &clip_names::TOKENS);
        text_config::clip(&shapes, self.layout(), part == Part::TextEncoder2)
    }

    fn clip(
        &self,
        part: Part,
        config: &ClipTextConfig,
        device: &Device,
    ) -> Result<ClipText, SingleFileError> {
        let file = self.tensors(part)?;
        let network = config.init(device)?;
        let layout = self.layout();
        let without_last = matches!(layout, Layout::StableDiffusion2 | Layout::Upscaler);
        let mut tensors = clip_names::as_in_transformers(file, config, without_last)?;
        let alone = matches!(layout, Layout::StableDiffusion3 | Layout::TextEncoder);
        if part == Part::TextEncoder && alone && config.projection == Some(config.hidden_size) {
            add_identity(&mut tensors, config.hidden_size);
        }
        Ok(load(network, &tensors, &self.options.clone().ignoring(UNUSED_BY_CLIP))?)
    }
}

/// Adds the identity as the projection, if there is none and another matrix has its shape.
fn add_identity(tensors: &mut Tensors, width: usize) {
    let like = tensors.get("text_model.encoder.layers.0.self_attn.q_proj.weight");
    let Some(like) = like.ok().filter(|like| like.shape() == [width, width]) else { return };
    if tensors.contains(PROJECTION) {
        return;
    }
    let dtype = like.dtype();
    let mut rows = vec![0.0_f32; width * width];
    rows.iter_mut().step_by(width + 1).for_each(|value| *value = 1.0);
    let identity = TensorData::new(rows, [width, width]).convert_dtype(dtype);
    tensors.insert(PROJECTION, TensorView::from(identity));
}
