//! An autoencoder in overlapping tiles.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use ddm_denoiser::ModelError;
use ddm_schedule::Invalid;

use crate::{Autoencoder, Posterior};

/// An autoencoder of images that takes large ones in overlapping tiles, and blends the results.
///
/// The features of one tile at a time are in memory, whatever the size of the image. An image is a
/// weighted mean of its tiles, with weights that sum to 1 and rise linearly in the overlap. So a pixel
/// is off by at most as much as the worst of the tiles there:
///
/// * Where each pixel depends on latents at most r away (convolutions), tiles with a
///   [`margin`](Self::margin) of r are exact, up to rounding. The overlap must be more than `2 r`.
/// * Group norms and attention see the whole image, or the whole tile. No overlap makes them exact;
///   contrast and colour then vary a little from tile to tile. Larger tiles are closer: a small
///   autoencoder of digits, on a mosaic of 32×32 latents, was off by 10 % of the range of its values
///   (root mean square) in tiles of 8 that overlap by 2, by 3 % in tiles of 16 and 1 % in tiles of 24.
///
/// An image that fits in a tile is taken whole. Tiles are all of one size, so that packed weights fit.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// # use ddm_latent::{Autoencoder, Posterior};
/// # struct Twice;
/// # impl Autoencoder<4> for Twice {
/// #     fn encode(&self, x: Tensor<4>) -> Posterior<4> {
/// #         let log_variance = x.full_like(-30.0);
/// #         Posterior::new(x * 2.0, log_variance)
/// #     }
/// #     fn decode(&self, z: Tensor<4>) -> Tensor<4> { z / 2.0 }
/// # }
/// use ddm_latent::Tiled;
/// let tiled = Tiled::new(Twice, 1)?.tiles(16, 4)?; // latents of 16×16, of which 4 overlap
/// let z = Tensor::<4>::ones([1, 3, 40, 25], &Device::flex()); // in 3×2 tiles
/// let off = tiled.decode(z.clone()) - z / 2.0;
/// assert!(off.abs().max().into_scalar::<f32>() < 1e-6);
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tiled<A> {
    autoencoder: A,
    factor: usize,
    side: usize,
    overlap: usize,
    margin: usize,
}

impl<A> Tiled<A> {
    /// Creates the adapter of an autoencoder whose images are `factor` times as high and wide as their
    /// latents. Tiles are 64×64 latents, of which 16 overlap, as diffusers' for Stable Diffusion 1.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Invalid`] if the factor is 0.
    pub fn new(autoencoder: A, factor: usize) -> Result<Self, ModelError> {
        Invalid::require(factor > 0, "the factor of a latent", factor as f64, "at least 1")?;
        Ok(Self { autoencoder, factor, side: 64, overlap: 16, margin: 0 })
    }

    /// Sets the height and width of a tile, and how much of it overlaps the next one at least, in
    /// pixels of the latent. Resets the margin to 0.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Invalid`] unless the overlap is at least 1 and smaller than the tile.
    pub fn tiles(self, side: usize, overlap: usize) -> Result<Self, ModelError> {
        let valid = (1..side).contains(&overlap);
        let allowed = "at least 1 and smaller than the tile";
        Invalid::require(valid, "the overlap of tiles", overlap as f64, allowed)?;
        Ok(Self { side, overlap, margin: 0, ..self })
    }

    /// Sets the margin, in pixels of the latent: how much of a tile is not used along its inner edges.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Invalid`] if two margins are not smaller than the overlap.
    pub fn margin(self, margin: usize) -> Result<Self, ModelError> {
        let valid = margin < self.overlap.div_ceil(2);
        let allowed = "less than half of the overlap";
        Invalid::require(valid, "the margin of tiles", margin as f64, allowed)?;
        Ok(Self { margin, ..self })
    }

    /// Returns the autoencoder.
    pub fn autoencoder(&self) -> &A {
        &self.autoencoder
    }

    /// Returns the starts of the tiles along an axis of this many latents.
    fn starts(&self, length: usize) -> Vec<usize> {
        let Some(rest) = length.checked_sub(self.side) else { return vec![0] };
        let steps = rest.div_ceil(self.side - self.overlap);
        // Evenly spaced, and the last ends with the image.
        (0..=steps).map(|step| if step == 0 { 0 } else { rest * step / steps }).collect()
    }

    /// Returns the weights of each tile along an axis of this many latents, each of which is `scale`
    /// pixels: they sum to 1 at every pixel.
    fn weights(&self, length: usize, scale: usize) -> Vec<Vec<f32>> {
        let [length, side, overlap, margin] =
            [length, self.side.min(length), self.overlap, self.margin].map(|size| size * scale);
        let ramp = (overlap - 2 * margin) as f64;
        let starts: Vec<_> = self.starts(length / scale).iter().map(|at| at * scale).collect();
        let weight = |start: usize, at: usize| -> f64 {
            // The distance from an inner edge; the edges of the image are none.
            let edge = |is_inner: bool, pixels: usize| {
                if is_inner { pixels as f64 + 0.5 - margin as f64 } else { f64::INFINITY }
            };
            let (left, right) = (edge(start > 0, at), edge(start + side < length, side - 1 - at));
            (left.min(right) / ramp).clamp(0.0, 1.0)
        };
        let mut sums = vec![0.0; length];
        for &start in &starts {
            for at in 0..side {
                sums[start + at] += weight(start, at);
            }
        }
        let of_tile =
            |&start| (0..side).map(|at| (weight(start, at) / sums[start + at]) as f32).collect();
        starts.iter().map(of_tile).collect()
    }

    /// Maps tiles of x and blends what they become.
    ///
    /// A latent is `from` pixels of x, and `to` of the result.
    fn blend<const N: usize>(
        &self,
        x: &Tensor<4>,
        [from, to]: [usize; 2],
        map: impl Fn(Tensor<4>) -> [Tensor<4>; N],
    ) -> [Tensor<4>; N] {
        let [_, _, height, width] = x.dims();
        let (device, side) = (x.device(), self.side);
        let axis = |length: usize| {
            let length = length / from;
            let part = move |start: usize| start..start + side.min(length);
            let parts: Vec<Range<usize>> = self.starts(length).into_iter().map(part).collect();
            (parts, self.weights(length, to))
        };
        let ((rows, row_weights), (columns, column_weights)) = (axis(height), axis(width));
        if rows.len() * columns.len() == 1 {
            return map(x.clone());
        }
        let scaled = |range: &Range<usize>, by: usize| range.start * by..range.end * by;
        let mut whole: Option<[Tensor<4>; N]> = None;
        for (row, row_weights) in rows.iter().zip(&row_weights) {
            let row_weights = along(row_weights, 2, &device);
            for (column, column_weights) in columns.iter().zip(&column_weights) {
                let weights = row_weights.clone() * along(column_weights, 3, &device);
                let (here, there) = (
                    [scaled(row, from), scaled(column, from)],
                    [scaled(row, to), scaled(column, to)],
                );
                let [rows, columns] = here;
                let tiles = map(x.clone().slice([0..x.dims()[0], 0..x.dims()[1], rows, columns]));
                let canvases = whole.take().unwrap_or_else(|| {
                    tiles.clone().map(|tile| {
                        let [batch, channels, ..] = tile.dims();
                        let shape = [batch, channels, height / from * to, width / from * to];
                        Tensor::zeros(shape, (&device, tile.dtype()))
                    })
                });
                let mut tiles = tiles.into_iter();
                whole = Some(canvases.map(|canvas| match tiles.next() {
                    Some(tile) => add(canvas, tile, weights.clone(), there.clone()),
                    None => canvas,
                }));
            }
        }
        // There is a tile.
        whole.unwrap_or_else(|| map(x.clone()))
    }
}

/// Returns weights along an axis of an image.
fn along(weights: &[f32], axis: usize, device: &Device) -> Tensor<4> {
    let mut shape = [1; 4];
    shape[axis] = weights.len();
    Tensor::from_data(TensorData::new(weights.to_vec(), shape), device)
}

/// Adds a weighted tile to the canvas.
fn add(
    canvas: Tensor<4>,
    tile: Tensor<4>,
    weights: Tensor<4>,
    [rows, columns]: [Range<usize>; 2],
) -> Tensor<4> {
    let [batch, channels, ..] = canvas.dims();
    let place = [0..batch, 0..channels, rows, columns];
    let sum = canvas.clone().slice(place.clone()) + tile * weights.cast(canvas.dtype());
    canvas.slice_assign(place, sum)
}

impl<A: Autoencoder<4>> Autoencoder<4> for Tiled<A> {
    fn encode(&self, x: Tensor<4>) -> Posterior<4> {
        let [mean, log_variance] = self.blend(&x, [self.factor, 1], |tile| {
            let posterior = self.autoencoder.encode(tile);
            [posterior.mean(), posterior.log_variance()]
        });
        Posterior::new(mean, log_variance)
    }

    fn decode(&self, z: Tensor<4>) -> Tensor<4> {
        let [image] = self.blend(&z, [1, self.factor], |tile| [self.autoencoder.decode(tile)]);
        image
    }

    fn check_image(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        self.autoencoder.check_image(shape)
    }

    fn check_latent(&self, shape: [usize; 4]) -> Result<(), ModelError> {
        self.autoencoder.check_latent(shape)
    }
}
