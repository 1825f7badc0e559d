//! Pictures from files, as models take them.

use std::path::{Path, PathBuf};

use ddm_core::burn::tensor::TensorData;
use ddm_core::prelude::{Device, Tensor};
use image::{DynamicImage, ImageReader};

/// A picture that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhotoError {
    /// The file cannot be read; often it does not exist.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: image::ImageError,
    },
    /// The picture has an alpha channel, which models have no use for.
    #[error("{} has an alpha channel; save it without transparency", path.display())]
    Alpha {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a PNG file as `[1, 3, height, width]` in [0, 1].
///
/// # Errors
///
/// Returns an error if it cannot be read, or has an alpha channel.
pub fn read_image(path: &Path, device: &Device) -> Result<Tensor<4>, PhotoError> {
    let image = read(path)?.into_rgb32f();
    let (width, height) = (image.width() as usize, image.height() as usize);
    let data = TensorData::new(image.into_raw(), [1, height, width, 3]);
    Ok(Tensor::from_data(data, device).permute([0, 3, 1, 2]))
}

/// Reads a PNG file as a mask, `[1, 1, height, width]` in [0, 1]: white is 1.
///
/// # Errors
///
/// As [`read_image`].
pub fn read_mask(path: &Path, device: &Device) -> Result<Tensor<4>, PhotoError> {
    let image = read(path)?.into_luma8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    let values: Vec<f32> = image.into_raw().into_iter().map(|v| f32::from(v) / 255.0).collect();
    Ok(Tensor::from_data(TensorData::new(values, [1, 1, height, width]), device))
}

fn read(path: &Path) -> Result<DynamicImage, PhotoError> {
    let unreadable = |source| PhotoError::Read { path: path.to_owned(), source };
    let reader = ImageReader::open(path).map_err(|error| unreadable(error.into()))?;
    let image = reader.decode().map_err(unreadable)?;
    if image.color().has_alpha() {
        return Err(PhotoError::Alpha { path: path.to_owned() });
    }
    Ok(image)
}
