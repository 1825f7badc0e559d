//! Files, written whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use crate::animation::{GifError, Timing, gif};

/// A file that could not be written. A previous file at its path is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The folder could not be created.
    #[error("cannot create the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The picture does not fit the PNG format.
    #[error("cannot make a PNG picture for {}", path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// The encoder's error.
        source: image::ImageError,
    },
    /// The picture or its texts do not fit the PNG format.
    #[error("cannot make a PNG picture with texts for {}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// The encoder's error.
        source: png::EncodingError,
    },
    /// The pictures do not fit the GIF format.
    #[error("cannot make a GIF animation for {}", path.display())]
    Gif {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: GifError,
    },
}

/// Creates a folder and its parents, unless they exist.
///
/// # Errors
///
/// Returns an error if the system does, or if a file has its path.
pub fn create_folder(path: &Path) -> Result<(), OutputError> {
    fs::create_dir_all(path).map_err(|source| OutputError::Folder { path: path.into(), source })
}

/// Writes a file whole or not at all, and creates its folder: the bytes go to a temporary file in the
/// same folder, which is then renamed.
///
/// # Errors
///
/// Returns an error if the folder cannot be created or the file cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    create_folder(folder)?;
    replace(folder, path, bytes).map_err(|source| OutputError::Write { path: path.into(), source })
}

fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = temporary().tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Returns a builder of temporary files with the usual permissions.
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

/// Writes a picture as PNG, whole or not at all.
///
/// # Errors
///
/// As [`write`](fn@write), and if the picture has no pixels.
pub fn write_png(path: &Path, picture: &RgbImage) -> Result<(), OutputError> {
    let mut bytes = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive);
    picture
        .write_with_encoder(encoder)
        .map_err(|source| OutputError::Png { path: path.into(), source })?;
    write(path, &bytes)
}

/// Writes a picture as PNG with texts by their keywords, whole or not at all.
///
/// Source: *Portable Network Graphics*, third edition, W3C 2025, section 11.3.3.4, iTXt.
///
/// # Errors
///
/// As [`write_png`].
pub fn write_png_with_text(
    path: &Path,
    picture: &RgbImage,
    texts: &[(&str, &str)],
) -> Result<(), OutputError> {
    let encode = || {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
        encoder.set_color(png::ColorType::Rgb);
        for (keyword, text) in texts {
            encoder.add_itxt_chunk((*keyword).to_owned(), (*text).to_owned())?;
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(picture.as_raw())?;
        writer.finish()?;
        Ok(bytes)
    };
    let bytes = encode().map_err(|source| OutputError::Text { path: path.into(), source })?;
    write(path, &bytes)
}

/// Writes pictures as a GIF that repeats, whole or not at all.
///
/// # Errors
///
/// As [`write`](fn@write), and if there are no frames, or they are too large or differ in size.
pub fn write_gif(path: &Path, frames: &[RgbImage], timing: Timing) -> Result<(), OutputError> {
    let bytes =
        gif(frames, timing).map_err(|source| OutputError::Gif { path: path.into(), source })?;
    write(path, &bytes)
}
