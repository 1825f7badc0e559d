//! A small variational autoencoder.

use burn::config::Config;
use burn::tensor::Device;

use crate::{AutoencoderKl, AutoencoderKlConfig, NetworkConfigError};

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

/// A small [`AutoencoderKl`], of one residual block per level and without attention.
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
pub type Vae = AutoencoderKl;

impl VaeConfig {
    /// Creates the autoencoder on `device`. Its latents have scale 1 and no shift; fit them with
    /// [`LatentSpace::fitted`](ddm_latent::LatentSpace::fitted).
    ///
    /// # Errors
    ///
    /// Returns an error if a size is 0, or the channels of a level are not a multiple of the norm
    /// groups.
    pub fn init(&self, device: &Device) -> Result<Vae, NetworkConfigError> {
        let config = AutoencoderKlConfig::new()
            .with_in_channels(self.in_channels)
            .with_out_channels(self.in_channels)
            .with_latent_channels(self.latent_channels)
            .with_channels(self.channels.clone())
            .with_norm_groups(self.norm_groups)
            .with_blocks(1)
            .with_middle_attention(false)
            .with_quant_conv(false)
            .with_post_quant_conv(false)
            .with_scaling_factor(1.0);
        config.init(device)
    }
}
