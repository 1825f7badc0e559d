//! The sizes that a network of many aspect ratios was trained on.

use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

use crate::PipelineError;

/// Heights and widths in sixteenths of the side of a square, from wide to tall: all have nearly its area.
///
/// Source: Chen et al., *PixArt-α*, arXiv 2310.00426, after Podell et al., *SDXL*, app. I,
/// arXiv 2307.01952.
#[rustfmt::skip]
const SIZES: [[usize; 2]; 40] = [
    [8, 32], [8, 31], [8, 30], [8, 29], [9, 28], [9, 27], [9, 26], [10, 25], [10, 24], [11, 23],
    [11, 22], [11, 21], [12, 21], [12, 20], [13, 19], [13, 18], [14, 18], [14, 17], [15, 17], [15, 16],
    [16, 16], [16, 15], [17, 15], [17, 14], [18, 14], [18, 13], [19, 13], [20, 12], [21, 12], [22, 11],
    [23, 11], [24, 10], [25, 10], [26, 9], [27, 9], [28, 9], [29, 8], [30, 8], [31, 8], [32, 8],
];

/// Those that only networks for 2048 pixels were trained on.
const LARGE: [[usize; 2]; 7] = [[8, 31], [8, 30], [26, 9], [28, 9], [29, 8], [30, 8], [31, 8]];

/// Returns the height and width, of those that a network for latents of `side` was trained on, with the
/// nearest aspect ratio.
///
/// # Errors
///
/// Returns an error for a network of another size than the released ones.
pub(crate) fn nearest(side: usize, wanted: [usize; 2]) -> Result<[usize; 2], PipelineError> {
    let known = [32, 64, 128, 256];
    let (what, allowed) = ("the sample_size of a network with bins", "32, 64, 128 or 256");
    PipelineError::require(known.contains(&side), what, side, allowed)?;
    let ratio = |[height, width]: [usize; 2]| height as f64 / width as f64;
    // The ratios have two digits in diffusers' table.
    let off = |size| ((ratio(size) * 100.0).round() / 100.0 - ratio(wanted)).abs();
    let sizes = SIZES.iter().filter(|size| side == 256 || !LARGE.contains(size));
    let nearest = sizes.copied().min_by(|a, b| off(*a).total_cmp(&off(*b))).unwrap_or([16, 16]);
    // Pixels are eight to a latent one, whatever the autoencoder.
    Ok(nearest.map(|sixteenths| sixteenths * side * 8 / 16))
}

/// Returns an image in another size: scaled until it covers it, and cut to its middle.
pub(crate) fn covering(image: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [_, _, rows, columns] = image.dims();
    if [rows, columns] == [height, width] {
        return image;
    }
    let ratio = (height as f64 / rows as f64).max(width as f64 / columns as f64);
    // A rounding must not leave it smaller.
    let scaled = |side: usize, at_least: usize| ((side as f64 * ratio) as usize).max(at_least);
    let size = [scaled(rows, height), scaled(columns, width)];
    let bilinear = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
    let image = interpolate(image, bilinear.with_output_size(size));
    let (top, left) = ((size[0] - height) / 2, (size[1] - width) / 2);
    image.narrow(2, top, height).narrow(3, left, width)
}
