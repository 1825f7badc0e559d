//! The autoencoder with a codebook.

use std::path::Path;

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};
use ddm_denoiser::ModelError;
use ddm_latent::{Autoencoder, LatentSpace, Posterior};
use ddm_weights::LoadOptions;
use serde_json::json;

use super::AutoencoderNetwork;
use super::network::{autoencoder, certain, features, inside};
use super::stages::{Decoder, Encoder, Sizes};
use crate::blocks::Ops;
use crate::blocks::plain::{to_channels_first, to_channels_last};
use crate::component::{Component, component, current_name};
use crate::error::require_image;
use crate::settings::Settings;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of a [`VqModel`]. The defaults are those of the latent diffusion model of faces.
#[derive(Config, Debug, PartialEq)]
pub struct VqModelConfig {
    /// The number of channels of an image.
    #[config(default = 3)]
    pub in_channels: usize,
    /// The number of channels of a decoded image.
    #[config(default = 3)]
    pub out_channels: usize,
    /// The number of channels between encoder and decoder.
    #[config(default = 3)]
    pub latent_channels: usize,
    /// The number of channels of a code, and of a latent; `None` for the latent channels.
    pub code_channels: Option<usize>,
    /// The number of codes.
    #[config(default = 8192)]
    pub codes: usize,
    /// The channels of each level, finest first; each level has half the resolution of the last.
    #[config(default = "vec![128, 256, 512]")]
    pub channels: Vec<usize>,
    /// The residual blocks of a level of the encoder; the decoder has one more.
    #[config(default = 2)]
    pub blocks: usize,
    /// The levels with attention in the encoder, 0 being the finest.
    #[config(default = "vec![]")]
    pub attention_down: Vec<usize>,
    /// The levels with attention in the decoder, 0 being the finest.
    #[config(default = "vec![]")]
    pub attention_up: Vec<usize>,
    /// Whether the middle, at the coarsest level, has attention.
    #[config(default = true)]
    pub middle_attention: bool,
    /// The number of groups of the group norms; it divides the channels of all levels.
    #[config(default = 32)]
    pub norm_groups: usize,
    /// The factor of a latent for diffusion.
    #[config(default = 0.18215)]
    pub scaling_factor: f64,
    /// Whether the features are in f32 though the weights are in half precision.
    #[config(default = false)]
    pub force_upcast: bool,
}

impl VqModelConfig {
    /// Reads the `config.json` of a `VQModel` of diffusers. What it lacks has diffusers' default.
    ///
    /// The norms must be group norms (`norm_type` = `group`).
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    pub fn from_diffusers(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::of_class(json, "VQModel")?;
        settings.require("act_fn", &[json!("silu"), json!("swish")])?;
        settings.require("norm_type", &[json!("group")])?;
        let channels: Vec<usize> = settings.get("block_out_channels", "sizes", vec![64])?;
        let [attention_down, attention_up] = settings.attention(channels.len())?;
        let yes = "true or false";
        let config = Self {
            in_channels: settings.get("in_channels", "a size", 3)?,
            out_channels: settings.get("out_channels", "a size", 3)?,
            latent_channels: settings.get("latent_channels", "a size", 3)?,
            code_channels: settings.get("vq_embed_dim", "null or a size", None)?,
            codes: settings.get("num_vq_embeddings", "a size", 256)?,
            channels,
            blocks: settings.get("layers_per_block", "a size", 1)?,
            attention_down,
            attention_up,
            middle_attention: settings.get("mid_block_add_attention", yes, true)?,
            norm_groups: settings.get("norm_num_groups", "a size", 32)?,
            scaling_factor: settings.get("scaling_factor", "a number", 0.18215)?,
            force_upcast: settings.get("force_upcast", yes, false)?,
        };
        // The codes that `decode_codes` looks up need no setting.
        settings.finish(&["sample_size", "lookup_from_codebook"])?;
        Ok(config)
    }

    /// Creates the autoencoder on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, the channels of a level are not a multiple of the norm
    /// groups, a level with attention does not exist, or there are more than 16 levels.
    pub fn init(&self, device: &Device) -> Result<VqModel, NetworkConfigError> {
        let sizes = self.sizes();
        sizes.validate()?;
        let (latent, code) =
            (self.latent_channels, self.code_channels.unwrap_or(self.latent_channels));
        NetworkConfigError::require_some("code_channels", code)?;
        NetworkConfigError::require_some("codes", self.codes)?;
        let pointwise = |channels| Conv2dConfig::new(channels, [1, 1]).init(device);
        Ok(VqModel {
            encoder: Encoder::new(&sizes, latent, device)?,
            quant_conv: pointwise([latent, code]),
            quantize: Codebook { embedding: EmbeddingConfig::new(self.codes, code).init(device) },
            post_quant_conv: pointwise([code, latent]),
            decoder: Decoder::new(&sizes, device)?,
            scaling_factor: self.scaling_factor,
            force_upcast: self.force_upcast,
        })
    }

    fn sizes(&self) -> Sizes<'_> {
        Sizes {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            latent_channels: self.latent_channels,
            channels: &self.channels,
            blocks: self.blocks,
            attention_down: &self.attention_down,
            attention_up: &self.attention_up,
            middle_attention: self.middle_attention,
            norm_groups: self.norm_groups,
        }
    }
}

/// An autoencoder whose decoder takes the nearest code of a codebook in place of each pixel of a
/// latent: `[b, c, h, w]` ↔ `[b, code_channels, h/f, w/f]` with `f = 2^(levels − 1)`.
///
/// [`encode`](Autoencoder::encode) gives latents before they are quantized, and
/// [`decode`](Autoencoder::decode) quantizes, as diffusers' `VQModel`, whose names the weights have.
/// Diffusion is in the space before.
///
/// Sources: van den Oord et al., *Neural Discrete Representation Learning*, arXiv 1711.00937; as the
/// first stage of latent diffusion: Rombach et al., arXiv 2112.10752.
#[derive(Module, Debug)]
pub struct VqModel {
    encoder: Encoder,
    quant_conv: Conv2d,
    quantize: Codebook,
    post_quant_conv: Conv2d,
    decoder: Decoder,
    scaling_factor: f64,
    force_upcast: bool,
}

#[derive(Module, Debug)]
struct Codebook {
    embedding: Embedding,
}

/// A latent in the codes of a [`VqModel`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Quantized {
    /// The nearest codes, `[batch, code_channels, h, w]`. The gradient passes to the latent as if it
    /// were the same.
    pub z: Tensor<4>,
    /// The indices of the codes, `[batch, h, w]`. Of equally near codes, it is the first.
    pub indices: Tensor<3, Int>,
}

impl VqModel {
    /// Loads a `VQModel` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`VqModelConfig::from_diffusers`] does not cover, or a tensor is missing, unknown or of
    /// another shape.
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Returns the autoencoder with the scale of its latents for diffusion.
    ///
    /// # Errors
    ///
    /// Returns an error if the scale is 0 or not finite.
    pub fn latent_space(self) -> Result<LatentSpace<Self>, ModelError> {
        let scale = self.scaling_factor;
        LatentSpace::new(self, scale, 0.0)
    }

    /// Returns the ratio of image and latent, in height and in width.
    #[must_use]
    pub fn factor(&self) -> usize {
        self.encoder.factor()
    }

    /// Returns the nearest code of each pixel of a latent, `argmin_k |z − e_k|`.
    ///
    /// Source: van den Oord et al., eq. 1 and 2, arXiv 1711.00937.
    #[must_use]
    pub fn quantize(&self, z: Tensor<4>) -> Quantized {
        let wide = match z.dtype() {
            DType::F16 | DType::BF16 => DType::F32,
            dtype => dtype,
        };
        let codes = self.quantize.embedding.weight.val().cast(wide);
        let pixels = to_channels_last(z.clone().cast(wide));
        let [batch, height, width, channels] = pixels.dims();
        let pixels = pixels.reshape([batch * height * width, channels]);
        // |z − e|² without |z|², which is the same for all codes.
        let lengths = codes.clone().square().sum_dim(1).swap_dims(0, 1);
        let distances = lengths - pixels.matmul(codes.swap_dims(0, 1)) * 2.0;
        let indices = distances.argmin(1).reshape([batch, height, width]);
        let nearest = self.codes(indices.clone()).cast(z.dtype());
        Quantized { z: z.clone() + (nearest - z).detach(), indices }
    }

    /// Returns the image of a latent that is not quantized.
    #[must_use]
    pub fn decode_unquantized(&self, z: Tensor<4>) -> Tensor<4> {
        Ops::pass(&z.clone(), || self.decode_codes_with(&Ops::default(), z))
    }

    /// Returns the image of codes by their indices, `[batch, h, w]`, each below the number of codes.
    #[must_use]
    pub fn decode_codes(&self, indices: Tensor<3, Int>) -> Tensor<4> {
        self.decode_unquantized(self.codes(indices))
    }

    /// Returns codes as a latent.
    fn codes(&self, indices: Tensor<3, Int>) -> Tensor<4> {
        let [batch, height, width] = indices.dims();
        let codes = self.quantize.embedding.forward(indices.reshape([batch, height * width]));
        let channels = codes.dims()[2];
        to_channels_first(codes.reshape([batch, height, width, channels]))
    }

    fn decode_codes_with(&self, ops: &Ops, z: Tensor<4>) -> Tensor<4> {
        let dtype = self.dtype(ops, &z);
        inside(z, dtype, |z| self.decoder.forward(ops, ops.conv2d(&self.post_quant_conv, z)))
    }

    fn latent_channels(&self) -> usize {
        self.post_quant_conv.weight.dims()[1]
    }

    /// Returns the dtype of the features.
    fn dtype(&self, ops: &Ops, x: &Tensor<4>) -> FloatDType {
        features(self.decoder.weights().dtype().into(), self.force_upcast, ops, x)
    }
}

impl Component for VqModel {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(VqModelConfig::from_diffusers(json)?.init(device)?);
        component(directory, options, init, current_name, &[])
    }
}

impl AutoencoderNetwork for VqModel {
    fn image_channels(&self) -> usize {
        self.encoder.in_channels()
    }

    fn encode_with(&self, ops: &Ops, x: Tensor<4>) -> Posterior<4> {
        let dtype = self.dtype(ops, &x);
        certain(inside(x, dtype, |x| ops.conv2d(&self.quant_conv, self.encoder.forward(ops, x))))
    }

    fn decode_with(&self, ops: &Ops, z: Tensor<4>) -> Tensor<4> {
        self.decode_codes_with(ops, self.quantize(z).z)
    }
}

autoencoder!(VqModel);
