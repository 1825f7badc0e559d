//! Parts from directories.

use std::path::PathBuf;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use ddm_latent::{Autoencoder, LatentSpace};
use ddm_models::{AutoencoderKl, AutoencoderTiny, DiffusersError, VqModel};
use serde_json::Value;

use crate::geometry::{factor, size};
use crate::run::Latents;
use crate::{ModelDirectory, Part, PipelineError};

/// Where and how the parts of a pipeline are loaded.
///
/// ```
/// use burn::tensor::{Device, FloatDType};
/// use ddm_pipelines::Loading;
/// let device = Device::flex();
/// let loading = Loading::new(&device).dtype(Some(FloatDType::BF16)).keep_parts(false);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Loading {
    pub(crate) device: Device,
    pub(crate) dtype: Option<FloatDType>,
    pub(crate) keep: bool,
}

impl Loading {
    /// Returns the settings for `device`: weights in f32, parts kept.
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone(), dtype: Some(FloatDType::F32), keep: true }
    }

    /// Sets the float type of the networks, by default f32; `None` for that of the files.
    ///
    /// An autoencoder whose config says `force_upcast` is loaded in f32 all the same: in f16 the
    /// features of SDXL's overflow.
    pub fn dtype(self, dtype: Option<FloatDType>) -> Self {
        Self { dtype, ..self }
    }

    /// Sets whether parts stay in memory after their use, by default true. If not, each is loaded when
    /// it is needed and dropped after, so that the peak is the largest part and not their sum.
    pub fn keep_parts(self, keep: bool) -> Self {
        Self { keep, ..self }
    }

    /// Returns the part that `load` loads from a directory.
    pub(crate) fn part<M: Module + Sync + 'static>(
        &self,
        directory: PathBuf,
        load: fn(PathBuf, &Device) -> Result<M, DiffusersError>,
    ) -> Part<M> {
        let Self { device, dtype, keep } = self.clone();
        let load = move || Ok(cast(load(directory.clone(), &device)?, dtype));
        Part::lazy(load).kept(keep)
    }

    /// Returns the autoencoder of a directory, in one of diffusers' classes.
    pub(crate) fn autoencoder(
        &self,
        directory: &ModelDirectory,
        name: &str,
    ) -> Result<Part<Latents>, PipelineError> {
        let path = directory.part(name, &["AutoencoderKL", "AutoencoderTiny", "VQModel"])?;
        let config = directory.config(name)?;
        let mut loading = self.clone();
        if config["force_upcast"] == true && self.dtype.is_none_or(|dtype| dtype == FloatDType::F16)
        {
            loading.dtype = Some(FloatDType::F32);
        }
        let scaled = |name| config[name].as_f64();
        Ok(match directory.class_of(name) {
            Some("AutoencoderTiny") => {
                let part = loading
                    .part(path, |path, device| AutoencoderTiny::from_diffusers(path, device));
                part.map(move |network| latents(network, 1.0, 0.0))
            }
            Some("VQModel") => {
                let scale = scaled("scaling_factor").unwrap_or(0.18215);
                let part = loading.part(path, |path, device| VqModel::from_diffusers(path, device));
                part.map(move |network| latents(network, scale, 0.0))
            }
            _ => loading
                .part(path, |path, device| AutoencoderKl::from_diffusers(path, device))
                .map(|network| {
                    let (scale, shift) = (network.scaling_factor(), network.shift_factor());
                    latents(network, scale, shift)
                }),
        })
    }
}

fn latents(
    network: impl Autoencoder<4> + 'static,
    scale: f64,
    shift: f64,
) -> Result<Latents, PipelineError> {
    let network: Arc<dyn Autoencoder<4>> = Arc::new(network);
    Ok(LatentSpace::new(network, scale, shift)?)
}

/// Returns a network with weights of this type.
fn cast<M: Module>(network: M, dtype: Option<FloatDType>) -> M {
    struct Cast(FloatDType);
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(self.0))
        }
    }
    match dtype {
        Some(dtype) => network.map(&mut Cast(dtype)),
        None => network,
    }
}

/// The channels, the default side and the factor of a network in a latent space.
pub(crate) fn sizes(
    directory: &ModelDirectory,
    network: &str,
    autoencoder: &str,
) -> Result<(Value, usize, usize), PipelineError> {
    let config = directory.config(network)?;
    let side = size(&config, "sample_size").unwrap_or(64);
    Ok((config, side, factor(&directory.config(autoencoder)?)))
}
