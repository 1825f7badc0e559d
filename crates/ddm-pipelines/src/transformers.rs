//! What the pipelines of transformers share.

use burn::tensor::Device;
use ddm_denoiser::{Condition, ConditionalPredictor};
use ddm_diffusers::{SchedulerConfig, SetTimesteps};
use ddm_noise::NoiseSource;
use serde_json::Value;

use crate::geometry::{Geometry, size};
use crate::guided::guided;
use crate::image::Space;
use crate::load::sizes;
use crate::run::{Generation, Latents};
use crate::start::Plan;
use crate::{Loading, ModelDirectory, Part, PipelineError, Request};

/// The autoencoder, the scheduler and the sizes of a transformer's pipeline.
#[derive(Debug)]
pub struct LatentTransformer {
    /// The autoencoder with the scale of its latents.
    pub autoencoder: Part<Latents>,
    /// A small autoencoder for previews.
    pub preview: Option<Part<Latents>>,
    /// The scheduler, unless a request has another.
    pub scheduler: SchedulerConfig,
    pub(crate) device: Device,
    pub(crate) geometry: Geometry,
}

impl LatentTransformer {
    /// Opens the autoencoder and the scheduler of a pipeline's directory, for a transformer of
    /// `channels` by default; returns its config too.
    pub(crate) fn open(
        directory: &ModelDirectory,
        loading: &Loading,
        channels: usize,
    ) -> Result<(Self, Value), PipelineError> {
        let (config, side, factor) = sizes(directory, "transformer", "vae")?;
        let channels = size(&config, "in_channels").unwrap_or(channels);
        let multiple = size(&config, "patch_size").unwrap_or(2);
        let latents = Self {
            autoencoder: loading.autoencoder(directory, "vae")?,
            preview: loading.previewer(),
            scheduler: directory.scheduler()?,
            device: loading.device.clone(),
            geometry: Geometry { channels, side, factor, multiple },
        };
        Ok((latents, config))
    }

    /// Returns the scheduler of a request.
    pub(crate) fn scheduler<'a>(&'a self, request: &'a Request) -> &'a SchedulerConfig {
        request.scheduler.as_ref().unwrap_or(&self.scheduler)
    }

    /// Starts a run from noise or an image.
    pub(crate) fn start<N, C>(
        &self,
        request: &Request,
        network: N,
        conditions: (C, Option<C>),
        (scale, set): (f64, SetTimesteps),
        mut noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError>
    where
        N: ConditionalPredictor<4, Condition = C> + 'static,
        C: Condition + 'static,
    {
        let scheduler = self.scheduler(request);
        let shape = self.geometry.shape(request)?;
        let plan = Plan { scheduler, set, shape, request, device: &self.device };
        let start = match &request.image {
            None => plan.pure_noise(&mut *noise)?,
            Some(image) => {
                let levels = plan.last_part(request.strength.unwrap_or(0.6))?;
                let space = Space { autoencoder: &self.autoencoder, geometry: self.geometry };
                let image = space.fitting(image, "the image", shape, 3)?;
                let latent = space.encoded(image, &plan, &mut *noise)?;
                plan.noised(latent, levels, &mut *noise)?
            }
        };
        let denoiser = guided(scheduler, network, conditions, scale, request)?;
        let run = Generation::start(scheduler.clone(), denoiser, start, noise)?;
        Ok(run.decoded_by(&self.autoencoder, self.preview.as_ref()))
    }
}

/// Returns the shift μ of an image of `patches` patches, linear between two sizes of the config.
///
/// Source: Esser et al., *Scaling Rectified Flow Transformers for High-Resolution Image Synthesis*,
/// sec. 5.3.2, arXiv 2403.03206, there √(m/n) for m and n pixels; e^μ of this line comes close.
pub(crate) fn shift(scheduler: &SchedulerConfig, patches: usize) -> f64 {
    let setting = |name, default| scheduler.get(name).and_then(Value::as_f64).unwrap_or(default);
    let sizes = (setting("base_image_seq_len", 256.0), setting("max_image_seq_len", 4096.0));
    let shifts = (setting("base_shift", 0.5), setting("max_shift", 1.15));
    let slope = (shifts.1 - shifts.0) / (sizes.1 - sizes.0);
    patches as f64 * slope + (shifts.0 - slope * sizes.0)
}
