//! Images side by side.

use image::{Rgb, RgbImage};

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// Images of one size with values in [−1, 1], as models return them.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    pixels: Vec<f32>,
    shape: [usize; 4],
}

impl Images {
    /// Creates images from their values in row-major order and their shape
    /// `[count, channels, height, width]`, with one channel (grey) or three (red, green, blue).
    ///
    /// # Panics
    ///
    /// Panics if the number of values does not match the shape, or for other numbers of channels.
    pub fn new(pixels: Vec<f32>, shape: [usize; 4]) -> Self {
        assert_eq!(pixels.len(), shape.iter().product::<usize>(), "values for the shape {shape:?}");
        assert!(matches!(shape[1], 1 | 3), "images have 1 or 3 channels, not {}", shape[1]);
        Self { pixels, shape }
    }

    /// Returns the number of images.
    pub fn count(&self) -> usize {
        self.shape[0]
    }

    /// Returns width and height of an image.
    pub fn size(&self) -> (usize, usize) {
        (self.shape[3], self.shape[2])
    }

    fn colour(&self, index: usize, x: usize, y: usize) -> Rgb<u8> {
        let [_, channels, height, width] = self.shape;
        let value = |channel: usize| {
            let value = self.pixels[((index * channels + channel) * height + y) * width + x];
            ((value.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8
        };
        if channels == 1 { Rgb([value(0); 3]) } else { Rgb([value(0), value(1), value(2)]) }
    }
}

/// Returns each image as a picture of its own, pixel by pixel.
pub fn each(images: &Images) -> Vec<RgbImage> {
    let (width, height) = images.size();
    let picture = |index| {
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            images.colour(index, x as usize, y as usize)
        })
    };
    (0..images.count()).map(picture).collect()
}

/// Draws images in rows of `columns`, each pixel enlarged to a square of side `scale`; −1 is black,
/// 1 is white, and values beyond are clipped.
///
/// # Panics
///
/// Panics if `columns` or `scale` is 0.
pub fn grid(images: &Images, columns: usize, scale: usize) -> RgbImage {
    assert!(columns > 0, "a grid needs a column");
    let columns = columns.min(images.count()).max(1);
    let cells: Vec<_> = (0..images.count()).map(|index| (images, index)).collect();
    paste(&cells, columns, images.size(), scale)
}

/// Draws samples over a run: each frame (with the same samples) is a column, so every row shows one
/// sample from noise (left) to data (right).
///
/// # Panics
///
/// Panics if the frames differ in the number or size of images, or `scale` is 0.
pub fn strip(frames: &[Images], scale: usize) -> RgbImage {
    let Some(first) = frames.first() else {
        return RgbImage::new(0, 0);
    };
    assert!(
        frames.iter().all(|frame| frame.count() == first.count() && frame.size() == first.size()),
        "the frames of a strip hold the same samples"
    );
    let cells: Vec<_> =
        (0..first.count()).flat_map(|row| frames.iter().map(move |frame| (frame, row))).collect();
    paste(&cells, frames.len(), first.size(), scale)
}

/// Returns evenly spaced positions in `0..length`, with the first and the last: the frames of a long
/// run to show in a [`strip`].
pub fn spread(length: usize, count: usize) -> Vec<usize> {
    if count >= length {
        return (0..length).collect();
    }
    if count < 2 {
        return (length - count..length).collect();
    }
    (0..count).map(|i| (i * (length - 1) + (count - 1) / 2) / (count - 1)).collect()
}

/// Draws cells in rows of `columns`, with a thin gap between them and around them.
fn paste(
    cells: &[(&Images, usize)],
    columns: usize,
    (width, height): (usize, usize),
    scale: usize,
) -> RgbImage {
    assert!(scale > 0, "pixels are enlarged at least 1 time");
    let gap = scale.min(6);
    let (cell_width, cell_height) = (width * scale, height * scale);
    let rows = cells.len().div_ceil(columns);
    let mut picture = RgbImage::from_pixel(
        (columns * (cell_width + gap) + gap) as u32,
        (rows * (cell_height + gap) + gap) as u32,
        PAPER,
    );
    for (place, (images, index)) in cells.iter().enumerate() {
        let left = gap + place % columns * (cell_width + gap);
        let top = gap + place / columns * (cell_height + gap);
        for y in 0..cell_height {
            for x in 0..cell_width {
                let colour = images.colour(*index, x / scale, y / scale);
                picture.put_pixel((left + x) as u32, (top + y) as u32, colour);
            }
        }
    }
    picture
}
