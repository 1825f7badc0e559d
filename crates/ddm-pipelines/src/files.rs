//! Networks from the files of a pipeline.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use ddm_models::single_file::SingleFile;
use ddm_models::text::{ClipText, ClipTextConfig, T5Encoder, T5EncoderConfig};
use ddm_models::transformer::{
    Dit, FluxTransformer, FluxTransformerConfig, PixArt, Sd3Transformer, Sd3TransformerConfig,
};
use ddm_models::{
    AutoencoderKl, AutoencoderKlConfig, AutoencoderTiny, ControlNet, DiffusersError, UNet2d,
    UNet2dCondition, UNet2dConditionConfig, VqModel,
};

use crate::PipelineError;

/// A network that a pipeline loads.
pub(crate) trait FromFiles: Module + Sync + 'static {
    /// Loads it from its directory.
    fn from_directory(path: &Path, device: &Device) -> Result<Self, DiffusersError>;

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

/// A network that only directories have.
macro_rules! from_directory {
    ($($network:ty: $load:path),*) => { $(
        impl FromFiles for $network {
            fn from_directory(path: &Path, device: &Device) -> Result<Self, DiffusersError> {
                $load(path, device)
            }
        }
    )* };
}

from_directory!(
    AutoencoderTiny: Self::from_diffusers,
    ControlNet: Self::from_diffusers,
    Dit: Self::from_diffusers,
    PixArt: Self::from_diffusers,
    UNet2d: Self::from_diffusers,
    VqModel: Self::from_diffusers
);

/// A network that single files have too.
macro_rules! from_files {
    ($($network:ty: $load:path, $config:path, $part:path;)*) => { $(
        impl FromFiles for $network {
            fn from_directory(path: &Path, device: &Device) -> Result<Self, DiffusersError> {
                $load(path, device)
            }

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
    UNet2dCondition: Self::from_diffusers, UNet2dConditionConfig::from_diffusers, SingleFile::unet;
    AutoencoderKl: Self::from_diffusers, AutoencoderKlConfig::from_diffusers, SingleFile::autoencoder;
    Sd3Transformer: Self::from_diffusers, Sd3TransformerConfig::from_json, SingleFile::sd3;
    FluxTransformer: Self::from_diffusers, FluxTransformerConfig::from_json, SingleFile::flux;
    T5Encoder: Self::from_transformers, T5EncoderConfig::from_json, SingleFile::t5;
}

impl FromFiles for ClipText {
    fn from_directory(path: &Path, device: &Device) -> Result<Self, DiffusersError> {
        Self::from_transformers(path, device)
    }

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
