//! Pipelines without a text: DDPM, DDIM, latent diffusion, consistency models, DiT.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use ddm_denoiser::Denoiser;
use ddm_diffusers::SchedulerConfig;
use ddm_models::transformer::Dit;
use ddm_models::{ClassLabels, Prepared, UNet2d};
use ddm_noise::NoiseSource;

use crate::first_channels::FirstChannels;
use crate::geometry::{Geometry, size};
use crate::guided::guided;
use crate::load::sizes;
use crate::run::Latents;
use crate::start::Plan;
use crate::takes::Takes;
use crate::transformers::LatentTransformer;
use crate::{Generation, Loading, Part, Pipeline, PipelineError, Request};

/// A U-Net without a text: DDPM, DDIM and score models, latent diffusion, and consistency models, which
/// may have classes.
///
/// It is diffusers' `DDPMPipeline`, `DDIMPipeline`, `LDMPipeline` and `ConsistencyModelPipeline`.
/// Sources: Ho et al., *Denoising Diffusion Probabilistic Models*, arXiv 2006.11239; Song et al.,
/// *Consistency Models*, arXiv 2303.01469.
#[derive(Debug)]
pub struct Unconditional {
    /// The U-Net.
    pub unet: Part<Prepared<UNet2d>>,
    /// The autoencoder, for latent diffusion.
    pub autoencoder: Option<Part<Latents>>,
    /// A small autoencoder for previews.
    pub preview: Option<Part<Latents>>,
    /// The scheduler, unless a request has another.
    pub scheduler: SchedulerConfig,
    device: Device,
    geometry: Geometry,
    /// The default number of steps.
    steps: usize,
}

impl Unconditional {
    /// Opens a pipeline's directory. Networks are loaded when they are needed.
    ///
    /// # Errors
    ///
    /// Returns an error if a config cannot be read, or a part is missing or of a class that does not
    /// belong to this pipeline.
    pub fn open(directory: impl AsRef<Path>, loading: &Loading) -> Result<Self, PipelineError> {
        let directory = loading.open(directory.as_ref())?;
        let path = directory.part("unet", &["UNet2DModel"])?;
        let config = directory.config("unet")?;
        let latent = directory.class_of("vqvae").is_some();
        let factor = if latent { sizes(&directory, "unet", "vqvae")?.2 } else { 1 };
        let steps = match directory.class() {
            "DDPMPipeline" => 1000,
            "ConsistencyModelPipeline" => 1,
            _ => 50,
        };
        Ok(Self {
            unet: loading.part(path),
            autoencoder: latent.then(|| loading.autoencoder(&directory, "vqvae")).transpose()?,
            preview: loading.previewer(),
            scheduler: directory.scheduler()?,
            device: loading.device.clone(),
            geometry: Geometry {
                channels: size(&config, "in_channels").unwrap_or(3),
                side: size(&config, "sample_size").unwrap_or(32),
                factor,
                multiple: 1,
            },
            steps,
        })
    }

    /// Returns the denoiser, with a class for each image if the network has classes.
    fn denoiser(
        &self,
        scheduler: &SchedulerConfig,
        request: &Request,
    ) -> Result<Box<dyn Denoiser<4>>, PipelineError> {
        let unet = self.unet.get()?;
        let classes = unet.config().class_embed.is_some();
        match (classes, request.classes.is_empty()) {
            (false, true) => Ok(scheduler.denoiser(unet)?),
            (true, false) => {
                let labels = labels(&request.classes, request.batch, &self.device)?;
                let conditions = (ClassLabels::Class(labels), None);
                guided(scheduler, unet, conditions, 1.0, request)
            }
            (true, true) => {
                Err(PipelineError::Needed { pipeline: NAME, what: "classes: its network has them" })
            }
            (false, false) => {
                Err(PipelineError::NotTaken { pipeline: NAME, what: "classes", hint: None })
            }
        }
    }
}

const NAME: &str = "the pipeline of a U-Net without text";

/// Returns a class for each image: as many as images, or one for all.
fn labels(classes: &[i64], batch: usize, device: &Device) -> Result<Tensor<1, Int>, PipelineError> {
    let fits = classes.len() == batch || classes.len() == 1;
    let allowed = format!("1 or {batch}, one per image");
    PipelineError::require(fits, "the number of classes", classes.len(), allowed)?;
    let each = classes.iter().copied().cycle().take(batch).collect();
    Ok(Tensor::from_data(TensorData::new(each, [batch]), device))
}

impl Pipeline for Unconditional {
    fn start(
        &self,
        request: &Request,
        mut noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError> {
        request.check(Takes { name: NAME, classes: true, size: true, ..Takes::default() })?;
        let scheduler = request.scheduler.as_ref().unwrap_or(&self.scheduler);
        let set = request.steps.clone().unwrap_or(self.steps.into());
        let shape = self.geometry.shape(request)?;
        let denoiser = self.denoiser(scheduler, request)?;
        let plan = Plan { scheduler, set, shape, request, device: &self.device };
        let start = plan.pure_noise(&mut *noise)?;
        let run = Generation::start(scheduler.clone(), denoiser, start, noise)?;
        Ok(match &self.autoencoder {
            Some(autoencoder) => run.decoded_by(autoencoder, self.preview.as_ref()),
            None => run,
        })
    }

    fn scheduler(&self) -> &SchedulerConfig {
        &self.scheduler
    }
}

/// DiT: a transformer with classes in a latent space.
///
/// It is diffusers' `DiTPipeline`. Source: Peebles & Xie, *Scalable Diffusion Models with Transformers*,
/// arXiv 2212.09748.
#[derive(Debug)]
pub struct DitPipeline {
    /// The transformer.
    pub transformer: Part<Prepared<Dit>>,
    /// The autoencoder and the scheduler.
    pub latents: LatentTransformer,
}

impl DitPipeline {
    /// Opens a pipeline's directory. Networks are loaded when they are needed.
    ///
    /// # Errors
    ///
    /// Returns an error if a config cannot be read, or a part is missing or of a class that does not
    /// belong to this pipeline.
    pub fn open(directory: impl AsRef<Path>, loading: &Loading) -> Result<Self, PipelineError> {
        let directory = loading.open(directory.as_ref())?;
        let path =
            directory.part("transformer", &["DiTTransformer2DModel", "Transformer2DModel"])?;
        let (latents, _) = LatentTransformer::open(&directory, loading, 4)?;
        Ok(Self { transformer: loading.part(path), latents })
    }
}

impl Pipeline for DitPipeline {
    fn start(
        &self,
        request: &Request,
        noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError> {
        let pipeline = "DiT";
        let takes = Takes { name: pipeline, classes: true, guidance: true, ..Takes::default() };
        request.check(Takes { size: true, ..takes })?;
        if request.classes.is_empty() {
            return Err(PipelineError::Needed { pipeline, what: "classes" });
        }
        let scale = request.guidance.unwrap_or(4.0);
        let (batch, device) = (request.batch, &self.latents.device);
        let transformer = self.transformer.get()?;
        let null = (scale > 1.0).then(|| transformer.null_classes(batch, device));
        let conditions = (labels(&request.classes, batch, device)?, null);
        let set = request.steps.clone().unwrap_or(50.into());
        let network = FirstChannels(transformer);
        self.latents.start(request, network, conditions, (scale, set), noise)
    }

    fn scheduler(&self) -> &SchedulerConfig {
        &self.latents.scheduler
    }
}
