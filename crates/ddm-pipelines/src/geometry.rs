//! The sizes of images and latents.

use burn::tensor::Tensor;
use serde_json::Value;

use crate::{PipelineError, Request};

/// The sizes of a pipeline's x and of its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// The channels of x.
    pub(crate) channels: usize,
    /// The default height and width of x.
    pub(crate) side: usize,
    /// The height and width of an image over those of x.
    pub(crate) factor: usize,
    /// What the height and width of x must be multiples of.
    pub(crate) multiple: usize,
}

impl Geometry {
    /// Returns the shape of x for a request.
    pub(crate) fn shape(&self, request: &Request) -> Result<[usize; 4], PipelineError> {
        let Self { channels, side, factor, multiple } = *self;
        let size = |what, given: Option<usize>, axis: usize| {
            let control = request.control.as_ref().map(|control| &control.image);
            let of_image = request.image.as_ref().or(control).map(|image| image.dims()[axis]);
            let of_latent = request.latent.as_ref().map(|latent| latent.dims()[axis] * factor);
            let pixels = given.or(of_latent).or(of_image).unwrap_or(side * factor);
            let step = factor * multiple;
            let fits = pixels > 0 && pixels.is_multiple_of(step);
            let allowed = format!("a multiple of {step} pixels, above 0");
            PipelineError::require(fits, what, pixels, allowed)?;
            Ok::<_, PipelineError>(pixels / factor)
        };
        let (height, width) =
            (size("the height", request.height, 2)?, size("the width", request.width, 3)?);
        Ok([request.batch, channels, height, width])
    }
}

/// Returns `batch` times the rows of a batch of one, or the batch that it is.
pub(crate) fn repeated<const D: usize>(x: Tensor<D>, batch: usize) -> Tensor<D> {
    if x.dims()[0] == batch { x } else { x.repeat_dim(0, batch) }
}

/// Returns a size of a config.
pub(crate) fn size(config: &Value, name: &str) -> Option<usize> {
    config[name].as_u64().and_then(|size| usize::try_from(size).ok())
}

/// Returns the factor of an autoencoder: it halves the image at each level but the last.
pub(crate) fn factor(config: &Value) -> usize {
    let levels = config["block_out_channels"].as_array().map_or(4, Vec::len);
    1 << levels.saturating_sub(1).min(16)
}
