//! The trait of pipelines, and any pipeline of a directory.

use std::path::Path;

use ddm_diffusers::SchedulerConfig;
use ddm_noise::NoiseSource;

use crate::{
    DitPipeline, Flux, Generation, Loading, ModelDirectory, PipelineError, PixArtPipeline, Request,
    StableDiffusion, StableDiffusion3, StableDiffusionXl, Unconditional,
};

/// A pipeline: a request in, images out.
pub trait Pipeline: Send + Sync {
    /// Starts to make images. Encodes the prompt, and encodes an image if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if the request has something that this pipeline does not take, a size does
    /// not fit, or a part has to be loaded and cannot.
    fn start(
        &self,
        request: &Request,
        noise: Box<dyn NoiseSource>,
    ) -> Result<Generation<'_>, PipelineError>;

    /// Returns the saved scheduler.
    fn scheduler(&self) -> &SchedulerConfig;
}

pub(crate) type Open = fn(&Path, &Loading) -> Result<Box<dyn Pipeline>, PipelineError>;

fn boxed<P: Pipeline + 'static>(pipeline: P) -> Box<dyn Pipeline> {
    Box::new(pipeline)
}

/// The classes of diffusers, and what opens them.
const CLASSES: &[(&[&str], Open)] = &[
    (
        &[
            "StableDiffusionPipeline",
            "StableDiffusionImg2ImgPipeline",
            "StableDiffusionInpaintPipeline",
            "StableDiffusionControlNetPipeline",
            "LatentConsistencyModelPipeline",
            "LatentConsistencyModelImg2ImgPipeline",
        ],
        |directory, loading| StableDiffusion::open(directory, loading).map(boxed),
    ),
    (
        &[
            "StableDiffusionXLPipeline",
            "StableDiffusionXLImg2ImgPipeline",
            "StableDiffusionXLInpaintPipeline",
            "StableDiffusionXLControlNetPipeline",
        ],
        |directory, loading| StableDiffusionXl::open(directory, loading).map(boxed),
    ),
    (&["StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline"], |directory, loading| {
        StableDiffusion3::open(directory, loading).map(boxed)
    }),
    (&["FluxPipeline", "FluxImg2ImgPipeline"], |directory, loading| {
        Flux::open(directory, loading).map(boxed)
    }),
    (&["PixArtAlphaPipeline", "PixArtSigmaPipeline"], |directory, loading| {
        PixArtPipeline::open(directory, loading).map(boxed)
    }),
    (&["DiTPipeline"], |directory, loading| DitPipeline::open(directory, loading).map(boxed)),
    (
        &["DDPMPipeline", "DDIMPipeline", "LDMPipeline", "ConsistencyModelPipeline"],
        |directory, loading| Unconditional::open(directory, loading).map(boxed),
    ),
];

/// Opens a directory that diffusers' `save_pretrained` wrote, of any class that this crate has.
///
/// # Errors
///
/// Returns an error if `model_index.json` cannot be read, names an unknown class, or a part is missing.
pub fn open(
    directory: impl AsRef<Path>,
    loading: &Loading,
) -> Result<Box<dyn Pipeline>, PipelineError> {
    let directory = directory.as_ref();
    opens(ModelDirectory::open(directory)?.class())?(directory, loading)
}

/// Returns what opens a class.
pub(crate) fn opens(class: &str) -> Result<Open, PipelineError> {
    match CLASSES.iter().find(|(names, _)| names.contains(&class)) {
        Some((_, open)) => Ok(*open),
        None => {
            let known: Vec<&str> = CLASSES.iter().flat_map(|(names, _)| *names).copied().collect();
            Err(PipelineError::UnknownClass { found: class.to_owned(), known: known.join(", ") })
        }
    }
}
