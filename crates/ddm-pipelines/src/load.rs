//! Parts from directories.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, FloatDType};
use ddm_latent::{Autoencoder, LatentSpace};
use ddm_models::lora::{Lora, fuse};
use ddm_models::single_file::{Part as FilePart, SingleFile};
use ddm_models::{AutoencoderKl, AutoencoderTiny, Prepared, VqModel};
use ddm_weights::LoadOptions;
use serde_json::Value;

use crate::directory::{read_json, read_text};
use crate::files::FromFiles;
use crate::geometry::{factor, size};
use crate::prepare::{Prepare, prepared};
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
    dtype: Option<FloatDType>,
    keep: bool,
    prepare: bool,
    loras: Vec<(Arc<Lora>, f64)>,
    file: Option<Arc<SingleFile>>,
    preview: Option<PathBuf>,
}

impl Loading {
    /// Returns the settings for `device`: weights in f32, parts kept, networks prepared.
    pub fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            dtype: Some(FloatDType::F32),
            keep: true,
            prepare: true,
            loras: Vec::new(),
            file: None,
            preview: None,
        }
    }

    /// Sets the float type of the networks, by default f32; `None` for that of the files. It is f64, f32,
    /// f16 or bf16; each tensor is cast as it is read, so that a network is in memory in this type alone.
    /// A weight that is NaN, or too large for the type, is an error.
    ///
    /// An autoencoder whose config says `force_upcast` is loaded in f32 in place of f16: the features
    /// of SDXL's overflow there.
    pub fn dtype(self, dtype: Option<FloatDType>) -> Self {
        Self { dtype, ..self }
    }

    /// Sets whether parts stay in memory after their use, by default true. If not, each is loaded when
    /// it is needed and dropped after, so that the peak is the largest part and not their sum.
    pub fn keep_parts(self, keep: bool) -> Self {
        Self { keep, ..self }
    }

    /// Sets whether networks in f32 are [prepared](ddm_models::Prepared) for sampling when they are
    /// loaded, by default true: on the CPU (burn's `flex`) their weights are packed once, in at most 1.2
    /// times the memory that they had, and a step is faster. If not, the weights stay in the networks,
    /// where [`Prepared::network`](ddm_models::Prepared::network) shows them.
    pub fn prepare(self, prepare: bool) -> Self {
        Self { prepare, ..self }
    }

    /// Adds a LoRA with a weight, which is fused into the weights as they are loaded. Several are added
    /// up.
    pub fn lora(mut self, lora: Lora, weight: f64) -> Self {
        self.loras.push((Arc::new(lora), weight));
        self
    }

    /// Takes the networks from a single file where it has them. The directory gives the configs, the
    /// tokenizers and the scheduler, and the networks that the file lacks.
    pub fn single_file(self, file: SingleFile) -> Self {
        Self { file: Some(Arc::new(file)), ..self }
    }

    /// Takes the `AutoencoderTiny` in a directory of diffusers for
    /// [previews](crate::Generation::preview), such as TAESD for Stable Diffusion 1 and 2, TAESDXL,
    /// TAESD3, TAEF1 for Flux. It takes latents as the networks do, scaled.
    pub fn preview(self, directory: impl Into<PathBuf>) -> Self {
        Self { preview: Some(directory.into()), ..self }
    }

    /// Returns the small autoencoder for previews.
    pub(crate) fn previewer(&self) -> Option<Part<Latents>> {
        Some(self.latents::<AutoencoderTiny>(self.preview.clone()?, |_| (1.0, 0.0)))
    }

    /// Opens a pipeline's directory.
    pub(crate) fn open(&self, directory: &Path) -> Result<ModelDirectory, PipelineError> {
        let directory = ModelDirectory::open(directory)?;
        for part in self.loras.iter().flat_map(|(lora, _)| lora.parts()) {
            // A LoRA of a network that is not there would change nothing.
            if directory.class_of(part.name()).is_none() {
                return Err(directory.lacks(part.name(), "what the LoRA changes"));
            }
        }
        Ok(directory)
    }

    /// Returns the network in a part's directory.
    pub(crate) fn part<M: Prepare>(&self, directory: PathBuf) -> Part<Prepared<M>> {
        let loading = self.clone();
        Part::lazy(move || loading.prepared(loading.load(&directory)?, &directory)).kept(self.keep)
    }

    /// Returns the autoencoder in a part's directory, of whose latents `scale` is the scale and shift.
    fn latents<M: Prepare>(
        &self,
        directory: PathBuf,
        scale: impl Fn(&M) -> (f64, f64) + Send + Sync + 'static,
    ) -> Part<Latents>
    where
        Prepared<M>: Autoencoder<4>,
    {
        let loading = self.clone();
        let load = move || {
            let network = loading.load::<M>(&directory)?;
            let (scale, shift) = scale(&network);
            let network = loading.prepared(network, &directory)?;
            let network: Arc<dyn Autoencoder<4>> = Arc::new(network);
            Ok(LatentSpace::new(network, scale, shift)?)
        };
        Part::lazy(load).kept(self.keep)
    }

    fn prepared<M: Prepare>(
        &self,
        network: M,
        directory: &Path,
    ) -> Result<Prepared<M>, PipelineError> {
        if !self.prepare {
            return Ok(network.into());
        }
        let config = read_json(&directory.join("config.json"))?;
        Ok(prepared(network, size(&config, "sample_size").unwrap_or(64))?)
    }

    fn load<M: FromFiles>(&self, directory: &Path) -> Result<M, PipelineError> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Each tensor is cast as it is read, so that no network is there in two types.
        let mut options = LoadOptions::new().finite();
        if let Some(dtype) = self.dtype {
            options = options.with_float(dtype.into());
        }
        let in_file = self.file.as_ref().filter(|file| has(file, &name));
        let from_file = in_file.map(|file| {
            let json = read_text(&directory.join("config.json"))?;
            let file = (**file).clone().with_options(options.clone());
            Ok::<_, PipelineError>(M::from_single_file(&file, (&name, &json), &self.device))
        });
        let network = match from_file.transpose()?.flatten() {
            Some(loaded) => loaded?,
            None => M::load_component(directory, &options, &self.device)?,
        };
        let changes = |part: &ddm_models::lora::Part| part.name() == name;
        let mut parts = self.loras.iter().flat_map(|(lora, _)| lora.parts());
        let Some(part) = parts.find(changes) else { return Ok(network) };
        let loras: Vec<(&Lora, f64)> =
            self.loras.iter().map(|(lora, weight)| (&**lora, *weight)).collect();
        Ok(fuse(network, part, &loras)?)
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
        Ok(match directory.class_of(name) {
            Some("AutoencoderTiny") => loading.latents(path, |_: &AutoencoderTiny| (1.0, 0.0)),
            Some("VQModel") => {
                let scale = config["scaling_factor"].as_f64().unwrap_or(0.18215);
                loading.latents(path, move |_: &VqModel| (scale, 0.0))
            }
            _ => loading.latents(path, |network: &AutoencoderKl| {
                (network.scaling_factor(), network.shift_factor())
            }),
        })
    }
}

/// Returns whether a single file has a part of a pipeline.
fn has(file: &SingleFile, name: &str) -> bool {
    let parts: &[FilePart] = match name {
        "unet" => &[FilePart::UNet],
        "transformer" => &[FilePart::Sd3Transformer, FilePart::FluxTransformer],
        "vae" => &[FilePart::Autoencoder],
        "text_encoder" => &[FilePart::TextEncoder],
        // The second text encoder of Flux is its T5.
        "text_encoder_2" => &[FilePart::TextEncoder2, FilePart::T5],
        "text_encoder_3" => &[FilePart::T5],
        _ => &[],
    };
    file.parts().any(|part| parts.contains(&part))
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
