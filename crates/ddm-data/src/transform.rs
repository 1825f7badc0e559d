//! From a decoded image to the size of a batch: crop, resize, flip.

use ddm_schedule::Invalid;
use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};
use rand::RngExt;

use crate::{DataError, Image, Visit};

/// What becomes of an image before training: the largest part of the right ratio is resized to the
/// size (Lanczos's filter, which averages where it shrinks), so that the shorter side fits whole;
/// then it may be flipped.
///
/// Alpha is composited over a background; 16 bits are rounded to 8; grey becomes RGB, or RGB grey.
/// Crops and flips are drawn at the [`Visit`]: new ones in each epoch, the same in each run.
///
/// ```
/// use ddm_data::Transform;
/// let transform = Transform::new([64, 64])?.random_crop().flip(0.5)?;
/// # Ok::<(), ddm_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    size: [usize; 2],
    random_crop: bool,
    flip: f64,
    grey: bool,
    background: [u8; 3],
}

impl Transform {
    /// Creates the transform to height and width: the centre, not flipped, RGB, on white.
    ///
    /// # Errors
    ///
    /// Returns an error if a side is 0 or above 16384.
    pub fn new([height, width]: [usize; 2]) -> Result<Self, DataError> {
        require_side("side of an image", height)?;
        require_side("side of an image", width)?;
        let size = [height, width];
        Ok(Self { size, random_crop: false, flip: 0.0, grey: false, background: [255; 3] })
    }

    /// Takes a random part instead of the centre. The shorter side is whole in both.
    #[must_use]
    pub fn random_crop(self) -> Self {
        Self { random_crop: true, ..self }
    }

    /// Flips left and right with this probability.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not in [0, 1].
    pub fn flip(self, probability: f64) -> Result<Self, DataError> {
        let good = (0.0..=1.0).contains(&probability);
        Invalid::require(good, "probability of a flip", probability, "in [0, 1]")?;
        Ok(Self { flip: probability, ..self })
    }

    /// Makes images of one channel, the luminance of Rec. 709.
    #[must_use]
    pub fn grey(self) -> Self {
        Self { grey: true, ..self }
    }

    /// Sets the colour behind transparent pixels.
    #[must_use]
    pub fn background(self, rgb: [u8; 3]) -> Self {
        Self { background: rgb, ..self }
    }

    /// Returns the shape of the images, `[channels, height, width]`, unless a plan requires another
    /// size.
    pub fn shape(&self) -> [usize; 3] {
        [if self.grey { 1 } else { 3 }, self.size[0], self.size[1]]
    }

    /// Applies the transform.
    pub(crate) fn apply(&self, image: DynamicImage, visit: &Visit) -> Result<Image, DataError> {
        let size = visit.size.unwrap_or(self.size);
        require_side("side of an image", size[0])?;
        require_side("side of an image", size[1])?;
        let image = opaque(image, self.background);
        let mut rng = visit.rng();
        // All are drawn always, so that one setting does not change what another draws.
        let [y, x, flip] = [(); 3].map(|()| rng.random::<f64>());
        let at = if self.random_crop { [y, x] } else { [0.5; 2] };
        let mut image = resized(&image, size, at);
        if flip < self.flip {
            imageops::flip_horizontal_in_place(&mut image);
        }
        match self.grey {
            true => {
                let grey = DynamicImage::ImageRgb8(image).into_luma8();
                Image::new([1, size[0], size[1]], grey.into_raw())
            }
            false => {
                let planes = (0..3).flat_map(|channel| image.pixels().map(move |rgb| rgb[channel]));
                Image::new([3, size[0], size[1]], planes.collect())
            }
        }
    }
}

/// Checks a side of images: products of two fit into every integer.
pub(crate) fn require_side(name: &'static str, side: usize) -> Result<(), DataError> {
    let good = (1..=16384).contains(&side);
    Ok(Invalid::require(good, name, side as f64, "between 1 and 16384")?)
}

/// Returns the image in 8 bits over a background: `a c + (1 − a) b`.
fn opaque(image: DynamicImage, background: [u8; 3]) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(u32::from);
        let mut over = [red, green, blue];
        for (colour, behind) in over.iter_mut().zip(background) {
            *colour = (*colour * alpha + u32::from(behind) * (255 - alpha) + 127) / 255;
        }
        // Each is a mean of bytes, a byte.
        image::Rgb(over.map(|colour| colour as u8))
    })
}

/// Returns the largest part of the ratio of `size`, resized. `at` in [0, 1] is where the part is of
/// all places where it can be.
///
/// It cuts before it resizes: then no image between the two is larger than both, however long and
/// narrow the source is.
fn resized(image: &RgbImage, [height, width]: [usize; 2], at: [f64; 2]) -> RgbImage {
    let sides = [image.height(), image.width()].map(f64::from);
    let scale = (sides[0] / height as f64).min(sides[1] / width as f64);
    let part = |side: f64, wanted: usize, at: f64| {
        let length = (scale * wanted as f64).round().clamp(1.0, side);
        let start = (at * (side - length + 1.0)).floor().min(side - length);
        (start as u32, length as u32)
    };
    let (top, tall) = part(sides[0], height, at[0]);
    let (left, wide) = part(sides[1], width, at[1]);
    let part = imageops::crop_imm(image, left, top, wide, tall);
    imageops::resize(&*part, width as u32, height as u32, FilterType::Lanczos3)
}
