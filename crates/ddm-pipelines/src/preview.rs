//! Cheap previews of latents.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Tensor, TensorData};
use ddm_denoiser::ModelError;
use ddm_latent::Autoencoder;

use crate::image::to_unit;
use crate::run::Latents;
use crate::{Part, PipelineError};

/// A linear map from a latent pixel to the colour of the part of the image that it stands for:
/// `rgb = z F + b`, in [−1, 1].
///
/// The latents of images look like small images already, so a preview costs one product with a
/// matrix of a few numbers, and no network.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_pipelines::LinearPreview;
/// let preview = LinearPreview::new(vec![[0.5, 0.0, 0.0], [0.0, 0.5, 0.5]], [0.0; 3])?;
/// let latent = Tensor::<4>::ones([1, 2, 8, 8], &Device::flex());
/// assert_eq!(preview.image(latent)?.dims(), [1, 3, 8, 8]); // in [0, 1]
/// # Ok::<(), ddm_pipelines::PipelineError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LinearPreview {
    /// The colour of each channel.
    factors: Vec<[f32; 3]>,
    bias: [f32; 3],
}

impl LinearPreview {
    /// Creates the map with a colour for each channel of a latent, and the colour of 0.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no channel, or a number is not finite.
    pub fn new(factors: Vec<[f32; 3]>, bias: [f32; 3]) -> Result<Self, PipelineError> {
        let what = "the number of channels of a preview";
        PipelineError::require(!factors.is_empty(), what, 0, "at least 1")?;
        let mut numbers = factors.as_flattened().iter().chain(&bias);
        if let Some(number) = numbers.find(|number| !number.is_finite()) {
            let what = "a factor of a preview";
            PipelineError::require(false, what, number, "finite; are the latents finite?")?;
        }
        Ok(Self { factors, bias })
    }

    /// Fits the map to an autoencoder by least squares: from the pixels of `latents`,
    /// `[batch, channels, height, width]`, to the means of their blocks in the decoded images.
    ///
    /// The latents should be like those that are to be shown; one image has pixels enough. Directions
    /// that they do not have, get 0.
    ///
    /// # Errors
    ///
    /// Returns an error if the latents do not fit the autoencoder, its images do not have three
    /// channels, or there are numbers that are not finite.
    pub fn fit(autoencoder: &Latents, latents: Tensor<4>) -> Result<Self, PipelineError> {
        let [batch, channels, height, width] = latents.dims();
        let (some, found) = (!latents.dims().contains(&0), format!("{:?}", latents.dims()));
        PipelineError::require(some, "the latents to fit a preview to", found, "not empty")?;
        autoencoder.autoencoder().check_latent(latents.dims())?;
        let image = autoencoder.decode(latents.clone()).clamp(-1.0, 1.0);
        let found @ [_, colours, rows, columns] = image.dims();
        let blocks = colours == 3 && rows.is_multiple_of(height) && columns.is_multiple_of(width);
        let allowed = format!("[{batch}, 3, a multiple of {height}, a multiple of {width}]");
        PipelineError::require(blocks, "the decoded image", format!("{found:?}"), allowed)?;
        let blocks = [batch * 3, height, rows / height, width, columns / width];
        let mean = image.reshape(blocks).mean_dim(4).mean_dim(2).reshape([batch, 3, height, width]);
        let (latents, colours) = (numbers(latents)?, numbers(mean)?);
        let rows = latents.chunks_exact(channels).zip(colours.chunks_exact(3));
        let solution = least_squares(rows, channels);
        let (bias, factors) = solution.split_last().expect("there is a row for the bias");
        Self::new(factors.to_vec(), *bias)
    }

    /// Returns a small image of latents, one pixel a latent pixel: `[batch, 3, height, width]` in
    /// [0, 1].
    ///
    /// # Errors
    ///
    /// Returns an error if the latents have another number of channels.
    pub fn image(&self, latents: Tensor<4>) -> Result<Tensor<4>, PipelineError> {
        let found @ [batch, channels, height, width] = latents.dims();
        let fits = channels == self.factors.len();
        let allowed = format!("[_, {}, _, _]", self.factors.len());
        PipelineError::require(fits, "the latent of a preview", format!("{found:?}"), allowed)?;
        let (device, dtype) = (latents.device(), latents.dtype());
        let constant = |numbers: &[f32], shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(numbers.to_vec(), shape), &device).cast(dtype)
        };
        let factors = constant(self.factors.as_flattened(), [channels, 3]);
        let pixels = latents.permute([0, 2, 3, 1]).reshape([batch * height * width, channels]);
        let colours = pixels.matmul(factors) + constant(&self.bias, [1, 3]);
        let image = colours.reshape([batch, height, width, 3]).permute([0, 3, 1, 2]);
        Ok(to_unit(image))
    }
}

/// Returns the numbers of an image with the channels of each pixel side by side.
fn numbers(x: Tensor<4>) -> Result<Vec<f64>, PipelineError> {
    let data = x.permute([0, 2, 3, 1]).into_data().convert::<f64>();
    data.try_into_vec().map_err(|error| {
        let (what, expected) = ("the latents of a preview", "numbers that can be read".to_owned());
        ModelError::Shape { what, found: error.to_string(), expected }.into()
    })
}

/// Returns the least-squares solution of `(z, 1) S = c` for rows (z, c): the factors of each channel, and
/// the bias last.
fn least_squares<'a>(
    rows: impl Iterator<Item = (&'a [f64], &'a [f64])>,
    channels: usize,
) -> Vec<[f32; 3]> {
    // The normal equations, with the right-hand sides behind.
    let (size, mut count) = (channels + 1, 0.0_f64);
    let mut system = vec![vec![0.0; size + 3]; size];
    for (z, colour) in rows {
        count += 1.0;
        let z: Vec<f64> = z.iter().copied().chain([1.0]).collect();
        for (line, &weight) in system.iter_mut().zip(&z) {
            for (sum, &value) in line.iter_mut().zip(z.iter().chain(colour)) {
                *sum += weight * value;
            }
        }
    }
    // A little of the identity, for channels that do not vary.
    let ridge = 1e-6 * count;
    (0..channels).for_each(|channel| system[channel][channel] += ridge);
    // Gauss and Jordan; a matrix that is positive definite needs no pivots.
    for pivot in 0..size {
        let mut line = system[pivot].clone();
        let scale = line[pivot];
        line.iter_mut().for_each(|value| *value /= scale);
        for (row, other) in system.iter_mut().enumerate() {
            let factor = other[pivot];
            if row != pivot {
                other.iter_mut().zip(&line).for_each(|(value, &by)| *value -= factor * by);
            }
        }
        system[pivot] = line;
    }
    let solved = |line: Vec<f64>| [line[size], line[size + 1], line[size + 2]].map(|it| it as f32);
    system.into_iter().map(solved).collect()
}

/// What shows the latents of a run.
#[derive(Debug, Default)]
pub(crate) struct Previewer<'a> {
    /// A small autoencoder.
    pub(crate) tiny: Option<&'a Part<Latents>>,
    /// A linear map, fitted when it is first needed.
    pub(crate) linear: OnceLock<Arc<LinearPreview>>,
}

impl Previewer<'_> {
    /// Returns images of latents; `autoencoder` is the one of the run.
    pub(crate) fn image(
        &self,
        x: Tensor<4>,
        autoencoder: &Part<Latents>,
    ) -> Result<Tensor<4>, PipelineError> {
        if let Some(tiny) = self.tiny {
            let tiny = tiny.get()?;
            tiny.autoencoder().check_latent(x.dims())?;
            return Ok(to_unit(tiny.decode(x)));
        }
        if let Some(linear) = self.linear.get() {
            return linear.image(x);
        }
        let fitted = LinearPreview::fit(&*autoencoder.get()?, x.clone())?;
        self.linear.get_or_init(|| Arc::new(fitted)).image(x)
    }
}
