//! The autoencoder of Stable Diffusion, SDXL, SD 3 and Flux.

use std::path::Path;

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, FloatDType, Tensor};
use ddm_denoiser::ModelError;
use ddm_latent::{Autoencoder, LatentSpace, Posterior};
use ddm_weights::LoadOptions;
use serde_json::{Value, json};

use super::AutoencoderNetwork;
use super::network::{autoencoder, features, inside};
use super::stages::{Decoder, Encoder, Sizes};
use crate::blocks::Ops;
use crate::component::{Component, component, current_name};
use crate::error::require_image;
use crate::settings::Settings;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of an [`AutoencoderKl`]. The defaults are Stable Diffusion 1's.
#[derive(Config, Debug, PartialEq)]
pub struct AutoencoderKlConfig {
    /// The number of channels of an image.
    #[config(default = 3)]
    pub in_channels: usize,
    /// The number of channels of a decoded image.
    #[config(default = 3)]
    pub out_channels: usize,
    /// The number of channels of a latent.
    #[config(default = 4)]
    pub latent_channels: usize,
    /// The channels of each level, finest first; each level has half the resolution of the last.
    #[config(default = "vec![128, 256, 512, 512]")]
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
    /// Whether a 1×1 convolution follows the encoder.
    #[config(default = true)]
    pub quant_conv: bool,
    /// Whether a 1×1 convolution precedes the decoder.
    #[config(default = true)]
    pub post_quant_conv: bool,
    /// The factor s of a latent for diffusion, `(z − m) s`.
    #[config(default = 0.18215)]
    pub scaling_factor: f64,
    /// The shift m of a latent for diffusion, `(z − m) s`.
    #[config(default = 0.0)]
    pub shift_factor: f64,
    /// Whether the features are in f32 though the weights are in half precision.
    #[config(default = true)]
    pub force_upcast: bool,
}

impl AutoencoderKlConfig {
    /// Reads the `config.json` of an `AutoencoderKL` of diffusers. What it lacks has diffusers'
    /// default.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    ///
    /// ```
    /// use ddm_models::AutoencoderKlConfig;
    /// let json = r#"{"block_out_channels": [64], "act_fn": "mish"}"#;
    /// let error = AutoencoderKlConfig::from_diffusers(json).unwrap_err();
    /// let says = r#"the model config has `act_fn` = "mish", but it must be "silu" or "swish""#;
    /// assert_eq!(error.to_string(), says);
    /// ```
    pub fn from_diffusers(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::of_class(json, "AutoencoderKL")?;
        settings.require("act_fn", &[json!("silu"), json!("swish")])?;
        // A mean and a std for each channel, instead of the two numbers for all.
        settings.require("latents_mean", &[Value::Null])?;
        settings.require("latents_std", &[Value::Null])?;
        let channels: Vec<usize> = settings.get("block_out_channels", "sizes", vec![64])?;
        let [attention_down, attention_up] = settings.attention(channels.len())?;
        let shift: Option<f64> = settings.get("shift_factor", "null or a number", None)?;
        let yes = "true or false";
        let config = Self {
            in_channels: settings.get("in_channels", "a size", 3)?,
            out_channels: settings.get("out_channels", "a size", 3)?,
            latent_channels: settings.get("latent_channels", "a size", 4)?,
            channels,
            blocks: settings.get("layers_per_block", "a size", 1)?,
            attention_down,
            attention_up,
            middle_attention: settings.get("mid_block_add_attention", yes, true)?,
            norm_groups: settings.get("norm_num_groups", "a size", 32)?,
            quant_conv: settings.get("use_quant_conv", yes, true)?,
            post_quant_conv: settings.get("use_post_quant_conv", yes, true)?,
            scaling_factor: settings.get("scaling_factor", "a number", 0.18215)?,
            shift_factor: shift.unwrap_or(0.0),
            force_upcast: settings.get("force_upcast", yes, true)?,
        };
        settings.finish(&["sample_size"])?;
        Ok(config)
    }

    /// Creates the autoencoder on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, the channels of a level are not a multiple of the norm
    /// groups, a level with attention does not exist, or there are more than 16 levels.
    pub fn init(&self, device: &Device) -> Result<AutoencoderKl, NetworkConfigError> {
        let sizes = self.sizes();
        sizes.validate()?;
        let latent = self.latent_channels;
        let pointwise = |channels| Conv2dConfig::new([channels, channels], [1, 1]).init(device);
        Ok(AutoencoderKl {
            encoder: Encoder::new(&sizes, 2 * latent, device)?,
            decoder: Decoder::new(&sizes, device)?,
            quant_conv: self.quant_conv.then(|| pointwise(2 * latent)),
            post_quant_conv: self.post_quant_conv.then(|| pointwise(latent)),
            config: self.clone(),
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

/// A variational autoencoder: `[b, c, h, w]` ↔ `[b, latent_channels, h/f, w/f]` with
/// `f = 2^(levels − 1)`.
///
/// Encoder and decoder are those of DDPM's U-Net without the skips and the timestep. The names of the
/// weights are those of diffusers' `AutoencoderKL`.
///
/// # Precision
///
/// It computes in the dtype of its weights, and returns that of its input. In half precision, the
/// statistics of the group norms, and attention from the product of queries and keys to that with the
/// values, are in f32 all the same. That does not suffice for every checkpoint: in SDXL's decoder the
/// features themselves exceed the range of f16. With
/// [`force_upcast`](AutoencoderKlConfig::force_upcast), all features are in f32. The weights stay in
/// half precision in memory, and those of a layer are widened while it computes.
///
/// # Memory
///
/// The features of the decoder's last level take most: 4 bytes times its channels, for each pixel of
/// the image and several tensors. [`Sliced`](ddm_latent::Sliced) decodes a batch sample by sample, and
/// [`Tiled`](ddm_latent::Tiled) an image in tiles.
///
/// Sources: Kingma & Welling, *Auto-Encoding Variational Bayes*, arXiv 1312.6114; Rombach et al.,
/// *High-Resolution Image Synthesis with Latent Diffusion Models*, arXiv 2112.10752; with 16 latent
/// channels: Esser et al., *Scaling Rectified Flow Transformers*, arXiv 2403.03206.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_latent::Autoencoder;
/// use ddm_models::AutoencoderKlConfig;
/// let device = Device::flex();
/// let config = AutoencoderKlConfig::new().with_channels(vec![8, 8]).with_norm_groups(4);
/// let vae = config.init(&device)?;
/// let latents = vae.encode(Tensor::<4>::zeros([2, 3, 8, 8], &device)).mode();
/// assert_eq!(latents.dims(), [2, 4, 4, 4]);
/// assert_eq!(vae.decode(latents).dims(), [2, 3, 8, 8]);
/// # Ok::<(), ddm_models::NetworkConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct AutoencoderKl {
    encoder: Encoder,
    decoder: Decoder,
    quant_conv: Option<Conv2d>,
    post_quant_conv: Option<Conv2d>,
    #[module(skip)]
    config: AutoencoderKlConfig,
}

/// The parts of the training loss of an [`AutoencoderKl`], each a scalar `[1]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VaeLoss {
    /// The loss to minimize: `reconstruction + kl_weight · kl`.
    pub total: Tensor<1>,
    /// The mean squared error per pixel and channel.
    pub reconstruction: Tensor<1>,
    /// The KL divergence of the posterior from N(0, I), in nats per pixel and channel.
    pub kl: Tensor<1>,
}

impl AutoencoderKl {
    /// Loads an `AutoencoderKL` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`. The names of attention may be those of old files.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`AutoencoderKlConfig::from_diffusers`] does not cover, or a tensor is missing, unknown or of
    /// another shape.
    ///
    /// ```no_run
    /// use burn::tensor::Device;
    /// use ddm_models::AutoencoderKl;
    /// let vae = AutoencoderKl::from_diffusers("stable-diffusion-v1-5/vae", &Device::flex())?;
    /// let space = vae.latent_space()?; // scaled by 0.18215
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &AutoencoderKlConfig {
        &self.config
    }

    /// Sets the factor and the shift of a latent for diffusion, such as those of
    /// [`LatentSpace::fitted`].
    #[must_use]
    pub fn with_latents(self, scaling_factor: f64, shift_factor: f64) -> Self {
        Self { config: AutoencoderKlConfig { scaling_factor, shift_factor, ..self.config }, ..self }
    }

    /// Returns the autoencoder with the shift and the scale of its latents for diffusion.
    ///
    /// # Errors
    ///
    /// Returns an error if the scale is 0, or one of the two is not finite.
    pub fn latent_space(self) -> Result<LatentSpace<Self>, ModelError> {
        let (scale, shift) = (self.scaling_factor(), self.shift_factor());
        LatentSpace::new(self, scale, shift)
    }

    /// Returns the factor s of a latent for diffusion, `(z − m) s`.
    #[must_use]
    pub fn scaling_factor(&self) -> f64 {
        self.config.scaling_factor
    }

    /// Returns the shift m of a latent for diffusion, `(z − m) s`.
    #[must_use]
    pub fn shift_factor(&self) -> f64 {
        self.config.shift_factor
    }

    /// Returns the ratio of image and latent, in height and in width.
    #[must_use]
    pub fn factor(&self) -> usize {
        self.encoder.factor()
    }

    /// Returns the shape of the latents of images `[batch, channels, height, width]`, and of the
    /// noise of [`loss`](Self::loss).
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Shape`] if the images have another number of channels, or sides that
    /// are not multiples of f, whose reconstructions would be smaller.
    pub fn latent_shape(&self, shape: [usize; 4]) -> Result<[usize; 4], ModelError> {
        self.check_image(shape)?;
        let [batch, _, height, width] = shape;
        let factor = self.factor();
        Ok([batch, self.latent_channels(), height / factor, width / factor])
    }

    /// Returns the training loss of images, with `z = μ + σ ε`: squared error and KL divergence,
    /// both per pixel and channel, so that the weight does not depend on the image size.
    ///
    /// With `kl_weight = 2 s²` it is (up to a constant factor) the negative evidence lower bound of
    /// a decoder with noise std s. `epsilon` is standard Gaussian noise of
    /// [`latent_shape`](Self::latent_shape). Source: Kingma & Welling, eq. 7, arXiv 1312.6114.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Shape`] as [`latent_shape`](Self::latent_shape) does, or if `epsilon`
    /// has another shape.
    pub fn loss(
        &self,
        images: Tensor<4>,
        epsilon: Tensor<4>,
        kl_weight: f64,
    ) -> Result<VaeLoss, ModelError> {
        let [batch, channels, height, width] = images.dims();
        let (found, latents) = (epsilon.dims(), self.latent_shape(images.dims())?);
        if found != latents {
            let (what, found) = ("the noise of the VAE's loss", format!("of shape {found:?}"));
            return Err(ModelError::Shape { what, found, expected: format!("{latents:?}") });
        }
        let posterior = self.encode(images.clone());
        let decoded = self.decode(posterior.sample(epsilon));
        let reconstruction = (decoded - images).square().mean();
        let elements = (batch * channels * height * width) as f64;
        let kl = posterior.kl().sum() / elements;
        let total = reconstruction.clone() + kl.clone() * kl_weight;
        Ok(VaeLoss { total, reconstruction, kl })
    }

    fn latent_channels(&self) -> usize {
        self.decoder.in_channels()
    }

    /// Returns the dtype of the features.
    fn dtype(&self, ops: &Ops, x: &Tensor<4>) -> FloatDType {
        features(self.decoder.weights().dtype().into(), self.config.force_upcast, ops, x)
    }
}

impl Component for AutoencoderKl {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(AutoencoderKlConfig::from_diffusers(json)?.init(device)?);
        component(directory, options, init, current_name, &[])
    }
}

impl AutoencoderNetwork for AutoencoderKl {
    fn image_channels(&self) -> usize {
        self.encoder.in_channels()
    }

    fn encode_with(&self, ops: &Ops, x: Tensor<4>) -> Posterior<4> {
        let dtype = self.dtype(ops, &x);
        let moments = inside(x, dtype, |x| {
            let h = self.encoder.forward(ops, x);
            match &self.quant_conv {
                Some(conv) => ops.conv2d(conv, h),
                None => h,
            }
        });
        let channels = moments.dims()[1] / 2;
        let mean = moments.clone().narrow(1, 0, channels);
        Posterior::new(mean, moments.narrow(1, channels, channels))
    }

    fn decode_with(&self, ops: &Ops, z: Tensor<4>) -> Tensor<4> {
        let dtype = self.dtype(ops, &z);
        inside(z, dtype, |z| {
            let z = match &self.post_quant_conv {
                Some(conv) => ops.conv2d(conv, z),
                None => z,
            };
            self.decoder.forward(ops, z)
        })
    }
}

autoencoder!(AutoencoderKl);
