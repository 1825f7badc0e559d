//! Images as latents, for runs that start from one, and x as images.

use burn::tensor::Tensor;
use ddm_noise::NoiseSource;

use crate::bins::covering;
use crate::geometry::{Geometry, repeated};
use crate::run::Latents;
use crate::start::{Plan, draw};
use crate::{Part, PipelineError};

/// The space in which images are latents.
#[derive(Clone, Copy)]
pub(crate) struct Space<'a> {
    pub(crate) autoencoder: &'a Part<Latents>,
    pub(crate) geometry: Geometry,
}

impl Space<'_> {
    /// Returns the latent of an image in [0, 1], drawn from its posterior, once per image of the plan.
    pub(crate) fn encoded(
        &self,
        image: Tensor<4>,
        plan: &Plan<'_>,
        noise: &mut dyn NoiseSource,
    ) -> Result<Tensor<4>, PipelineError> {
        let space = self.autoencoder.get()?;
        let image = image * 2.0 - 1.0;
        let [images, _, height, width] = image.dims();
        let Geometry { channels, factor, .. } = self.geometry;
        let shape = [images, channels, height / factor, width / factor];
        let epsilon = draw(noise, shape, plan.device);
        // A run has the float type of its noise.
        let image = image.cast(epsilon.dtype());
        Ok(repeated(space.encode_sample(image, epsilon), plan.shape[0]))
    }

    /// Returns the image if it has the right size and number of channels.
    pub(crate) fn fitting(
        &self,
        image: &Tensor<4>,
        what: &'static str,
        [batch, _, height, width]: [usize; 4],
        channels: usize,
    ) -> Result<Tensor<4>, PipelineError> {
        let (factor, found) = (self.geometry.factor, image.dims());
        let size = [channels, factor * height, factor * width];
        let fits = found[1..] == size && (found[0] == batch || found[0] == 1);
        let batches = if batch == 1 { "1".to_owned() } else { format!("1 or {batch}") };
        let allowed = format!("[{batches}, {}, {}, {}]", size[0], size[1], size[2]);
        PipelineError::require(fits, what, format!("{found:?}"), allowed)?;
        Ok(image.clone())
    }
}

/// From x, of the data's range [−1, 1], to images in [0, 1].
pub(crate) fn images(
    x: Tensor<4>,
    autoencoder: Option<&Part<Latents>>,
    size: Option<[usize; 2]>,
) -> Result<Tensor<4>, PipelineError> {
    let image = match autoencoder {
        Some(autoencoder) => autoencoder.get()?.decode(x),
        None => x,
    };
    Ok(to_unit(match size {
        Some(size) => covering(image, size),
        None => image,
    }))
}

/// From [−1, 1] to [0, 1].
pub(crate) fn to_unit(image: Tensor<4>) -> Tensor<4> {
    (image * 0.5 + 0.5).clamp(0.0, 1.0)
}
