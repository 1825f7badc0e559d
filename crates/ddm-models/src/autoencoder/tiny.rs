//! The tiny autoencoder, for previews.

use std::path::Path;

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use ddm_denoiser::ModelError;
use ddm_latent::{Autoencoder, LatentSpace, Posterior};
use ddm_schedule::Invalid;
use ddm_weights::LoadOptions;
use serde_json::json;

use super::AutoencoderNetwork;
use super::network::{autoencoder, certain, features, inside};
use super::stages::require_levels;
use crate::blocks::{Ops, conv3x3};
use crate::component::{Component, component, current_name};
use crate::error::require_image;
use crate::settings::Settings;
use crate::{DiffusersError, NetworkConfigError};

/// The configuration of an [`AutoencoderTiny`]. The defaults are TAESD's.
#[derive(Config, Debug, PartialEq)]
pub struct AutoencoderTinyConfig {
    /// The number of channels of an image.
    #[config(default = 3)]
    pub in_channels: usize,
    /// The number of channels of a decoded image.
    #[config(default = 3)]
    pub out_channels: usize,
    /// The number of channels of a latent.
    #[config(default = 4)]
    pub latent_channels: usize,
    /// The channels of the encoder.
    #[config(default = 64)]
    pub encoder_channels: usize,
    /// The channels of the decoder.
    #[config(default = 64)]
    pub decoder_channels: usize,
    /// The blocks of each level of the encoder, finest first.
    #[config(default = "vec![1, 3, 3, 3]")]
    pub encoder_blocks: Vec<usize>,
    /// The blocks of each level of the decoder, coarsest first.
    #[config(default = "vec![3, 3, 3, 1]")]
    pub decoder_blocks: Vec<usize>,
    /// The largest absolute value of a latent in [`AutoencoderTiny::to_unit`].
    #[config(default = 3.0)]
    pub latent_magnitude: f64,
    /// What a latent of 0 becomes in [`AutoencoderTiny::to_unit`].
    #[config(default = 0.5)]
    pub latent_shift: f64,
    /// The factor s of a latent for diffusion, `(z − m) s`.
    #[config(default = 1.0)]
    pub scaling_factor: f64,
    /// The shift m of a latent for diffusion, `(z − m) s`.
    #[config(default = 0.0)]
    pub shift_factor: f64,
}

impl AutoencoderTinyConfig {
    /// Reads the `config.json` of an `AutoencoderTiny` of diffusers. What it lacks has diffusers'
    /// default.
    ///
    /// # Errors
    ///
    /// Returns an error if `json` is not a JSON object, or a setting is not covered.
    pub fn from_diffusers(json: &str) -> Result<Self, DiffusersError> {
        let settings = Settings::of_class(json, "AutoencoderTiny")?;
        settings.require("act_fn", &[json!("relu")])?;
        settings.require("upsample_fn", &[json!("nearest")])?;
        settings.require("upsampling_scaling_factor", &[json!(2)])?;
        let level_sizes = |setting, default: [usize; 4]| {
            settings.get(setting, "sizes, one per level", default.to_vec())
        };
        let encoder_blocks = level_sizes("num_encoder_blocks", [1, 3, 3, 3])?;
        let decoder_blocks = level_sizes("num_decoder_blocks", [3, 3, 3, 1])?;
        let channels = |setting, levels| settings.one_for_all(setting, 64, levels);
        let config = Self {
            encoder_channels: channels("encoder_block_out_channels", encoder_blocks.len())?,
            decoder_channels: channels("decoder_block_out_channels", decoder_blocks.len())?,
            encoder_blocks,
            decoder_blocks,
            in_channels: settings.get("in_channels", "a size", 3)?,
            out_channels: settings.get("out_channels", "a size", 3)?,
            latent_channels: settings.get("latent_channels", "a size", 4)?,
            latent_magnitude: settings.get("latent_magnitude", "a number", 3.0)?,
            latent_shift: settings.get("latent_shift", "a number", 0.5)?,
            scaling_factor: settings.get("scaling_factor", "a number", 1.0)?,
            shift_factor: settings.get("shift_factor", "a number", 0.0)?,
        };
        // `block_out_channels` repeats those of the decoder, and `force_upcast` is always false.
        settings.finish(&["block_out_channels", "force_upcast"])?;
        Ok(config)
    }

    /// Creates the autoencoder on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, a list of blocks is empty or longer than 16, or
    /// `latent_magnitude` is not above 0.
    pub fn init(&self, device: &Device) -> Result<AutoencoderTiny, NetworkConfigError> {
        NetworkConfigError::require_some("in_channels", self.in_channels)?;
        NetworkConfigError::require_some("out_channels", self.out_channels)?;
        NetworkConfigError::require_some("latent_channels", self.latent_channels)?;
        NetworkConfigError::require_some("encoder_channels", self.encoder_channels)?;
        NetworkConfigError::require_some("decoder_channels", self.decoder_channels)?;
        for (what, blocks) in
            [("encoder_blocks", &self.encoder_blocks), ("decoder_blocks", &self.decoder_blocks)]
        {
            if blocks.is_empty() {
                return Err(NetworkConfigError::Empty { what });
            }
            require_levels(blocks.len())?;
        }
        let magnitude = self.latent_magnitude;
        let usable = magnitude > 0.0 && magnitude.is_finite();
        Invalid::require(usable, "latent_magnitude", magnitude, "finite and above 0")?;
        Ok(AutoencoderTiny {
            encoder: Layers { layers: self.encoder_layers(device) },
            decoder: Layers { layers: self.decoder_layers(device) },
            latent_magnitude: magnitude,
            latent_shift: self.latent_shift,
            scaling_factor: self.scaling_factor,
            shift_factor: self.shift_factor,
        })
    }

    fn encoder_layers(&self, device: &Device) -> Vec<Layer> {
        let width = self.encoder_channels;
        let mut layers = vec![Layer::Conv(conv3x3(self.in_channels, width).init(device))];
        for (level, &blocks) in self.encoder_blocks.iter().enumerate() {
            if level > 0 {
                let halve = conv3x3(width, width).with_stride([2, 2]).with_bias(false);
                layers.push(Layer::Conv(halve.init(device)));
            }
            layers.extend((0..blocks).map(|_| Layer::Block(Block::new(width, device))));
        }
        layers.push(Layer::Conv(conv3x3(width, self.latent_channels).init(device)));
        layers
    }

    fn decoder_layers(&self, device: &Device) -> Vec<Layer> {
        let width = self.decoder_channels;
        let first = conv3x3(self.latent_channels, width).init(device);
        let mut layers = vec![Layer::Conv(first), Layer::Relu(Relu)];
        for (level, &blocks) in self.decoder_blocks.iter().enumerate() {
            if level > 0 {
                layers.push(Layer::Double(Double));
                let conv = conv3x3(width, width).with_bias(false);
                layers.push(Layer::Conv(conv.init(device)));
            }
            layers.extend((0..blocks).map(|_| Layer::Block(Block::new(width, device))));
        }
        layers.push(Layer::Conv(conv3x3(width, self.out_channels).init(device)));
        layers
    }
}

/// A small autoencoder that approximates the latents and images of a large one, without its
/// attention and norms: `[b, c, h, w]` ↔ `[b, latent_channels, h/f, w/f]`, f = 8 for TAESD.
///
/// Its latents are those for diffusion: [`LatentSpace`] of it has scale 1 in released checkpoints.
/// Each pixel depends on a part of the image only, so that decoding in tiles is exact with a
/// margin (see [`ddm_latent::Tiled`]).
///
/// Source: Bohan, *Tiny AutoEncoder for Stable Diffusion* (TAESD), 2023. The names of the weights are
/// those of diffusers' `AutoencoderTiny`.
#[derive(Module, Debug)]
pub struct AutoencoderTiny {
    encoder: Layers,
    decoder: Layers,
    latent_magnitude: f64,
    latent_shift: f64,
    scaling_factor: f64,
    shift_factor: f64,
}

#[derive(Module, Debug)]
struct Layers {
    layers: Vec<Layer>,
}

/// A layer; those without weights count in the names of the others.
#[expect(clippy::large_enum_variant, reason = "a box is no module of burn")]
#[derive(Module, Debug)]
enum Layer {
    Conv(Conv2d),
    Block(Block),
    Relu(Relu),
    Double(Double),
}

/// `ReLU(x + f(x))`, where f is three convolutions with ReLU between them.
#[derive(Module, Debug)]
struct Block {
    conv: Vec<Layer>,
}

/// `max(x, 0)`.
#[derive(Module, Debug)]
struct Relu;

/// Doubles the height and width, by repeating every pixel four times.
#[derive(Module, Debug)]
struct Double;

impl Block {
    fn new(channels: usize, device: &Device) -> Self {
        let conv = || Layer::Conv(conv3x3(channels, channels).init(device));
        let relu = || Layer::Relu(Relu);
        Self { conv: vec![conv(), relu(), conv(), relu(), conv()] }
    }
}

/// Applies layers one after another.
fn chain(ops: &Ops, layers: &[Layer], x: Tensor<4>) -> Tensor<4> {
    layers.iter().fold(x, |x, layer| match layer {
        Layer::Conv(conv) => ops.conv2d(conv, x),
        Layer::Block(block) => ops.relu(x.clone() + chain(ops, &block.conv, x)),
        Layer::Relu(_) => ops.relu(x),
        Layer::Double(_) => ops.upsample_nearest(x),
    })
}

impl Layers {
    fn convolutions(&self) -> impl Iterator<Item = &Conv2d> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::Conv(conv) => Some(conv),
            _ => None,
        })
    }

    /// Returns the channels of the input.
    fn in_channels(&self) -> usize {
        self.convolutions().next().map_or(0, |conv| conv.weight.dims()[1])
    }
}

impl AutoencoderTiny {
    /// Loads an `AutoencoderTiny` of diffusers from its directory, which has `config.json` and
    /// `diffusion_pytorch_model.safetensors`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, the config has settings that
    /// [`AutoencoderTinyConfig::from_diffusers`] does not cover, or a tensor is missing, unknown or
    /// of another shape.
    pub fn from_diffusers(
        directory: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        Self::load_component(directory.as_ref(), &LoadOptions::new(), device)
    }

    /// Returns the autoencoder with the shift and the scale of its latents for diffusion.
    ///
    /// # Errors
    ///
    /// Returns an error if the scale is 0, or one of the two is not finite.
    pub fn latent_space(self) -> Result<LatentSpace<Self>, ModelError> {
        let (scale, shift) = (self.scaling_factor, self.shift_factor);
        LatentSpace::new(self, scale, shift)
    }

    /// Returns the ratio of image and latent, in height and in width.
    #[must_use]
    pub fn factor(&self) -> usize {
        let halvings = self.encoder.convolutions().filter(|conv| conv.stride == [2, 2]).count();
        1 << halvings
    }

    /// Returns a latent in [0, 1], to be stored as bytes: `z/(2 m) + s`, clamped, with
    /// `latent_magnitude` m and `latent_shift` s.
    #[must_use]
    pub fn to_unit(&self, z: Tensor<4>) -> Tensor<4> {
        (z / (2.0 * self.latent_magnitude) + self.latent_shift).clamp(0.0, 1.0)
    }

    /// Returns the latent of one in [0, 1]: `2 m (u − s)`, the inverse of
    /// [`to_unit`](Self::to_unit).
    #[must_use]
    pub fn from_unit(&self, unit: Tensor<4>) -> Tensor<4> {
        (unit - self.latent_shift) * (2.0 * self.latent_magnitude)
    }

    fn latent_channels(&self) -> usize {
        self.decoder.in_channels()
    }

    fn run(&self, ops: &Ops, network: &Layers, x: Tensor<4>) -> Tensor<4> {
        let Some(first) = network.convolutions().next() else { return x };
        let dtype = features(first.weight.val().dtype().into(), false, ops, &x);
        inside(x, dtype, |x| chain(ops, &network.layers, x))
    }
}

impl Component for AutoencoderTiny {
    fn load_component(
        directory: &Path,
        options: &LoadOptions,
        device: &Device,
    ) -> Result<Self, DiffusersError> {
        let init = |json: &str| Ok(AutoencoderTinyConfig::from_diffusers(json)?.init(device)?);
        component(directory, options, init, current_name, &[])
    }
}

impl AutoencoderNetwork for AutoencoderTiny {
    fn image_channels(&self) -> usize {
        self.encoder.in_channels()
    }

    fn encode_with(&self, ops: &Ops, x: Tensor<4>) -> Posterior<4> {
        certain(self.run(ops, &self.encoder, (x + 1.0) / 2.0))
    }

    fn decode_with(&self, ops: &Ops, z: Tensor<4>) -> Tensor<4> {
        self.run(ops, &self.decoder, (z / 3.0).tanh() * 3.0) * 2.0 - 1.0
    }
}

autoencoder!(AutoencoderTiny);
