//! Image files: PNG, JPEG and WebP.

use std::fs;
use std::io::{self, BufReader, Cursor};
use std::path::Path;

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits,
};

use crate::{DataError, jpeg};

/// The endings of the files that are read, in lower case.
pub(crate) const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// Reads an image, upright as its EXIF data say. The format is that of its first bytes. At most
/// 512 MiB are taken for it.
pub(crate) fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
    let decoded = || -> ImageResult<DynamicImage> {
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format()?;
        let cut_off = reader.format() == Some(ImageFormat::Jpeg) && !jpeg::is_whole(&bytes);
        let mut decoder = reader.into_decoder()?;
        if cut_off {
            return Err(ImageError::IoError(io::Error::other("the file is cut off")));
        }
        // Damaged EXIF data do not make an image worthless.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        // The decoder limits its own memory, but not that of the image.
        Limits::default().reserve(decoder.total_bytes())?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image)
    };
    decoded().map_err(|error| corrupt(path, &error))
}

/// Reads height and width of an image, upright.
pub(crate) fn size(path: &Path) -> Result<[usize; 2], DataError> {
    let file = fs::File::open(path).map_err(|error| unreadable(path, error))?;
    let size = || -> ImageResult<[usize; 2]> {
        let reader = ImageReader::new(BufReader::new(file)).with_guessed_format()?;
        let mut decoder = reader.into_decoder()?;
        let (width, height) = decoder.dimensions();
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let on_its_side = matches!(
            orientation,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        );
        let upright = if on_its_side { [width, height] } else { [height, width] };
        Ok(upright.map(|side| side as usize))
    };
    size().map_err(|error| corrupt(path, &error))
}

fn unreadable(path: &Path, source: io::Error) -> DataError {
    DataError::Read { path: path.to_path_buf(), source }
}

fn corrupt(path: &Path, error: &ImageError) -> DataError {
    DataError::Corrupt { item: path.display().to_string(), reason: error.to_string() }
}
