//! A small variational autoencoder.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{DType, Device, Tensor};
use ddm_denoiser::ModelError;
use ddm_latent::{Autoencoder, Posterior};

use crate::NetworkConfigError;
use crate::blocks::plain::{to_channels_first, to_channels_last};
use crate::blocks::{Downsample, Ops, Residual, ResidualConfig, Upsample, conv3x3};
use crate::error::require_image;

/// The configuration of a [`Vae`].
#[derive(Config, Debug)]
pub struct VaeConfig {
    /// The number of channels of an image.
    pub in_channels: usize,
    /// The number of channels of a latent.
    pub latent_channels: usize,
    /// The channels of each level, finest first; each level has half the resolution of the last.
    #[config(default = "vec![16, 32]")]
    pub channels: Vec<usize>,
    /// The number of groups of the group norms; it divides the channels of all levels.
    #[config(default = 8)]
    pub norm_groups: usize,
}

/// A convolutional variational autoencoder: `[b, c, h, w]` ↔ `[b, latent_channels, h/f, w/f]` with
/// `f = 2^(levels − 1)`. It has one residual block per level in each direction.
///
/// Source: Kingma & Welling, *Auto-Encoding Variational Bayes*, arXiv 1312.6114; as the first stage
/// of latent diffusion: Rombach et al., arXiv 2112.10752.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_latent::Autoencoder;
/// use ddm_models::VaeConfig;
/// let device = Device::flex();
/// let vae = VaeConfig::new(1, 2).with_channels(vec![8, 8]).init(&device)?;
/// let images = Tensor::<4>::zeros([3, 1, 8, 8], &device);
/// let latents = vae.encode(images).mode();
/// assert_eq!(latents.dims(), [3, 2, 4, 4]);
/// assert_eq!(vae.decode(latents).dims(), [3, 1, 8, 8]);
/// # Ok::<(), ddm_models::NetworkConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Vae {
    encoder: Encoder,
    decoder: Decoder,
}

#[derive(Module, Debug)]
struct Encoder {
    input: Conv2d,
    blocks: Vec<Residual>,
    downsample: Vec<Downsample>,
    norm: GroupNorm,
    moments: Conv2d,
}

#[derive(Module, Debug)]
struct Decoder {
    input: Conv2d,
    blocks: Vec<Residual>,
    upsample: Vec<Upsample>,
    norm: GroupNorm,
    output: Conv2d,
}

/// The parts of a [`Vae`]'s training loss, each a scalar `[1]`.
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

impl VaeConfig {
    /// Creates the autoencoder on `device`.
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, or the channels of a level are not a multiple of the norm
    /// groups.
    pub fn init(&self, device: &Device) -> Result<Vae, NetworkConfigError> {
        NetworkConfigError::require_some("in_channels", self.in_channels)?;
        NetworkConfigError::require_some("latent_channels", self.latent_channels)?;
        NetworkConfigError::require_channels("channels", &self.channels, self.norm_groups)?;
        let (widths, levels) = (&self.channels, self.channels.len());
        let (first, last) = (widths[0], widths[levels - 1]);
        let block = |channels_in, channels_out| {
            let config = ResidualConfig::new(channels_in, channels_out);
            config.with_norm_groups(self.norm_groups).init(device)
        };
        let norm = |channels| GroupNormConfig::new(self.norm_groups, channels).init(device);
        // On the way down a level's block changes the channels, on the way up the convolution before it.
        let before = std::iter::once(&first).chain(widths);
        let encoder = Encoder {
            input: conv3x3(self.in_channels, first).init(device),
            blocks: before
                .zip(widths)
                .map(|(&c, &width)| block(c, width))
                .collect::<Result<_, _>>()?,
            downsample: (1..levels).map(|i| Downsample::new(widths[i - 1], device)).collect(),
            norm: norm(last),
            moments: Conv2dConfig::new([last, 2 * self.latent_channels], [1, 1]).init(device),
        };
        let up = (1..levels).rev().map(|i| Upsample::new(widths[i], widths[i - 1], device));
        let decoder = Decoder {
            input: conv3x3(self.latent_channels, last).init(device),
            blocks: widths.iter().rev().map(|&w| block(w, w)).collect::<Result<_, _>>()?,
            upsample: up.collect(),
            norm: norm(first),
            output: conv3x3(first, self.in_channels).init(device),
        };
        Ok(Vae { encoder, decoder })
    }
}

impl Vae {
    /// Returns the shape of the latents of images `[batch, channels, height, width]`, and of the
    /// noise of [`loss`](Self::loss).
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Shape`] if the images have another number of channels, or sides that
    /// are not multiples of f, whose reconstructions would be larger.
    pub fn latent_shape(&self, shape: [usize; 4]) -> Result<[usize; 4], ModelError> {
        self.check_image(shape)?;
        let [batch, _, height, width] = shape;
        let [_, channels, _, _] = self.decoder.input.weight.dims();
        Ok([batch, channels, height / self.factor(), width / self.factor()])
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

    /// Returns `q(z | x)`, computed with `ops`.
    pub fn encode_with(&self, ops: &Ops, x: Tensor<4>) -> Posterior<4> {
        let outside = x.dtype();
        let encoder = &self.encoder;
        let mut h = ops.conv2d(&encoder.input, to_channels_last(x.cast(self.dtype())));
        let mut downsample = encoder.downsample.iter();
        for block in &encoder.blocks {
            h = block.forward(ops, h, None);
            if let Some(downsample) = downsample.next() {
                h = downsample.forward(ops, h);
            }
        }
        let moments = ops.conv2d(&encoder.moments, ops.group_norm_silu(&encoder.norm, h));
        let moments = to_channels_first(moments).cast(outside);
        let channels = moments.dims()[1] / 2;
        let mean = moments.clone().narrow(1, 0, channels);
        Posterior::new(mean, moments.narrow(1, channels, channels))
    }

    /// Returns `D(z)`, computed with `ops`.
    pub fn decode_with(&self, ops: &Ops, z: Tensor<4>) -> Tensor<4> {
        let outside = z.dtype();
        let decoder = &self.decoder;
        let mut h = ops.conv2d(&decoder.input, to_channels_last(z.cast(self.dtype())));
        let mut upsample = decoder.upsample.iter();
        for block in &decoder.blocks {
            h = block.forward(ops, h, None);
            if let Some(upsample) = upsample.next() {
                h = upsample.forward(ops, h);
            }
        }
        let image = ops.conv2d(&decoder.output, ops.group_norm_silu(&decoder.norm, h));
        to_channels_first(image).cast(outside)
    }

    /// Returns the ratio of image and latent, in height and in width.
    fn factor(&self) -> usize {
        1 << self.encoder.downsample.len()
    }

    fn dtype(&self) -> DType {
        self.decoder.output.weight.val().dtype()
    }
}

impl Autoencoder<4> for Vae {
    fn encode(&self, x: Tensor<4>) -> Posterior<4> {
        self.encode_with(&Ops::default(), x)
    }

    fn decode(&self, z: Tensor<4>) -> Tensor<4> {
        self.decode_with(&Ops::default(), z)
    }

    fn check_image(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        let [_, channels, _, _] = self.encoder.input.weight.dims();
        require_image("an image", shape, channels, self.factor())
    }

    fn check_latent(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        let [_, channels, _, _] = self.decoder.input.weight.dims();
        require_image("a latent", shape, channels, 1)
    }
}
