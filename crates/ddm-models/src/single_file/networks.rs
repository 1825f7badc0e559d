//! The networks and the autoencoder of a single file.

use burn::tensor::Device;
use ddm_weights::load;

use super::known::UNUSED_BY_AUTOENCODER;
use super::shapes::Shapes;
use super::{
    Layout, Part, SingleFile, SingleFileError, flux_config, flux_names, sd3_config, sd3_names,
    unet_config, unet_names, vae_config, vae_names,
};
use crate::transformer::{
    FluxTransformer, FluxTransformerConfig, Sd3Transformer, Sd3TransformerConfig,
};
use crate::{AutoencoderKl, AutoencoderKlConfig, UNet2dCondition, UNet2dConditionConfig};

impl SingleFile {
    /// Reads the config of the U-Net from its shapes: that of Stable Diffusion 1 and 2, their inpainting
    /// (9 channels), the upscaler, SDXL and its refiner, and of networks like these with fewer blocks.
    ///
    /// What shapes do not tell is taken from the released networks: 32 groups in norms, and the
    /// attention heads, 8 on each level in Stable Diffusion 1 and the upscaler, elsewhere one for 64
    /// channels.
    ///
    /// # Errors
    ///
    /// Returns an error if the file has no U-Net, or one that has no transformer in its middle.
    pub fn unet_config(&self) -> Result<UNet2dConditionConfig, SingleFileError> {
        unet_config::read(&Shapes::of(self, Part::UNet)?, self.layout())
    }

    /// Loads the U-Net.
    ///
    /// # Errors
    ///
    /// Returns an error if the file has none, the config is invalid, or a tensor is missing, unknown or
    /// of another shape.
    pub fn unet(
        &self,
        config: &UNet2dConditionConfig,
        device: &Device,
    ) -> Result<UNet2dCondition, SingleFileError> {
        let tensors = self.tensors(Part::UNet)?;
        let network = config.init(device)?;
        let tensors = unet_names::as_in_diffusers(tensors, config)?;
        Ok(load(network, &tensors, &self.options)?)
    }

    /// Reads the config of Stable Diffusion 3's transformer from its shapes: medium, 3.5 medium and
    /// large. Heads have 64 channels, if no norm of theirs tells it.
    ///
    /// # Errors
    ///
    /// Returns an error if the file does not have this transformer.
    pub fn sd3_config(&self) -> Result<Sd3TransformerConfig, SingleFileError> {
        sd3_config::read(&Shapes::of(self, Part::Sd3Transformer)?)
    }

    /// Loads the transformer of Stable Diffusion 3.
    ///
    /// # Errors
    ///
    /// As [`unet`](Self::unet).
    pub fn sd3(
        &self,
        config: &Sd3TransformerConfig,
        device: &Device,
    ) -> Result<Sd3Transformer, SingleFileError> {
        let tensors = self.tensors(Part::Sd3Transformer)?;
        let network = config.init(device)?;
        let tensors = sd3_names::as_in_diffusers(tensors, config)?;
        Ok(load(network, &tensors, &self.options)?)
    }

    /// Reads the config of Flux's transformer from its shapes: dev, schnell, and networks like these with
    /// fewer blocks or more channels.
    ///
    /// # Errors
    ///
    /// Returns an error if the file does not have this transformer, or its heads do not have 128
    /// channels.
    pub fn flux_config(&self) -> Result<FluxTransformerConfig, SingleFileError> {
        flux_config::read(&Shapes::of(self, Part::FluxTransformer)?)
    }

    /// Loads the transformer of Flux.
    ///
    /// # Errors
    ///
    /// As [`unet`](Self::unet).
    pub fn flux(
        &self,
        config: &FluxTransformerConfig,
        device: &Device,
    ) -> Result<FluxTransformer, SingleFileError> {
        let tensors = self.tensors(Part::FluxTransformer)?;
        let network = config.init(device)?;
        let tensors = flux_names::as_in_diffusers(tensors, config)?;
        Ok(load(network, &tensors, &self.options)?)
    }

    /// Reads the config of the autoencoder from its shapes, and the scale of its latents from the layout.
    ///
    /// # Errors
    ///
    /// Returns an error if the file has none, or an autoencoder alone, which does not tell its scale.
    pub fn autoencoder_config(&self) -> Result<AutoencoderKlConfig, SingleFileError> {
        self.autoencoder_config_of(self.layout())
    }

    /// The same of an autoencoder for the networks of another layout.
    ///
    /// # Errors
    ///
    /// As [`autoencoder_config`](Self::autoencoder_config).
    ///
    /// ```no_run
    /// use ddm_models::single_file::{Layout, SingleFile};
    /// # fn main() -> Result<(), ddm_models::single_file::SingleFileError> {
    /// let file = SingleFile::open("sdxl_vae.safetensors")?;
    /// let config = file.autoencoder_config_of(Layout::Xl)?; // scaled by 0.13025
    /// # Ok(())
    /// # }
    /// ```
    pub fn autoencoder_config_of(
        &self,
        layout: Layout,
    ) -> Result<AutoencoderKlConfig, SingleFileError> {
        vae_config::read(&Shapes::of(self, Part::Autoencoder)?, layout)
    }

    /// Loads the autoencoder.
    ///
    /// # Errors
    ///
    /// As [`unet`](Self::unet).
    pub fn autoencoder(
        &self,
        config: &AutoencoderKlConfig,
        device: &Device,
    ) -> Result<AutoencoderKl, SingleFileError> {
        let tensors = self.tensors(Part::Autoencoder)?;
        let network = config.init(device)?;
        let tensors = vae_names::as_in_diffusers(tensors, config.channels.len())?;
        let options = self.options.clone().ignoring(UNUSED_BY_AUTOENCODER);
        Ok(load(network, &tensors, &options)?)
    }
}
