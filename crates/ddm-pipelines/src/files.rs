//! Networks from the files of a pipeline.

use burn::tensor::Device;
use ddm_models::single_file::SingleFile;
use ddm_models::text::{ClipText, ClipTextConfig, T5Encoder, T5EncoderConfig};
use ddm_models::transformer::{
    Dit, FluxTransformer, FluxTransformerConfig, PixArt, Sd3Transformer, Sd3TransformerConfig,
};
use ddm_models::{
    AutoencoderKl, AutoencoderKlConfig, AutoencoderTiny, Component, ControlNet, UNet2d,
    UNet2dCondition, UNet2dConditionConfig, VqModel,
};

use crate::PipelineError;

/// A network that a pipeline loads: from its directory, as a [`Component`], or from a single file.
pub(crate) trait FromFiles: Component + Sync + 'static {
    /// Loads it as the part `part` of a single file, with a config as diffusers writes it; `None` if no
    /// such file has this network.
    fn from_single_file(
        file: &SingleFile,
        (part, config): (&str, &str),
        device: &Device,
    ) -> Option<Result<Self, PipelineError>> {
        let _ = (file, part, config, device);
        None
    }
}

/// Networks that only directories have.
macro_rules! from_directory {
    ($($network:ty),*) => { $( impl FromFiles for $network {} )* };
}

from_directory!(AutoencoderTiny, ControlNet, Dit, PixArt, UNet2d, VqModel);

/// Networks that single files have too.
macro_rules! from_files {
    ($($network:ty: $config:path, $part:path;)*) => { $(
        impl FromFiles for $network {
            fn from_single_file(
                file: &SingleFile,
                (_, config): (&str, &str),
                device: &Device,
            ) -> Option<Result<Self, PipelineError>> {
                let load = || Ok($part(file, &$config(config)?, device)?);
                Some(load())
            }
        }
    )* };
}

from_files! {
    UNet2dCondition: UNet2dConditionConfig::from_diffusers, SingleFile::unet;
    AutoencoderKl: AutoencoderKlConfig::from_diffusers, SingleFile::autoencoder;
    Sd3Transformer: Sd3TransformerConfig::from_json, SingleFile::sd3;
    FluxTransformer: FluxTransformerConfig::from_json, SingleFile::flux;
    T5Encoder: T5EncoderConfig::from_json, SingleFile::t5;
}

impl FromFiles for ClipText {
    fn from_single_file(
        file: &SingleFile,
        (part, config): (&str, &str),
        device: &Device,
    ) -> Option<Result<Self, PipelineError>> {
        let load = || {
            let config = ClipTextConfig::from_json(config)?;
            Ok(match part {
                "text_encoder_2" => file.text_encoder_2(&config, device)?,
                _ => file.text_encoder(&config, device)?,
            })
        };
        Some(load())
    }
}
