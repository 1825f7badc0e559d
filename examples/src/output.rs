//! Files that are written whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use crate::animation::{GifError, Timing, gif};

/// Why a file was not written. Whatever lay at its place before still does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The folder could not be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// The folder asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The picture does not fit the PNG format.
    #[error("cannot make a PNG picture for {}", path.display())]
    Png {
        /// The file asked for.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
    /// The pictures do not fit the GIF format.
    #[error("cannot make a GIF animation for {}", path.display())]
    Gif {
        /// The file asked for.
        path: PathBuf,
        /// What does not fit.
        source: GifError,
    },
}

/// Makes a folder and those above it; an existing one is fine.
///
/// # Errors
///
/// If the system refuses, or a file is in the way.
pub fn create_folder(path: &Path) -> Result<(), OutputError> {
    fs::create_dir_all(path).map_err(|source| OutputError::Folder { path: path.into(), source })
}

/// Writes a file whole or not at all, making its folder if there is none: the bytes go to a
/// temporary file beside it, which then takes its name.
///
/// # Errors
///
/// If the folder cannot be made or the file cannot be written; nothing half-written stays.
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

/// A temporary file that will be as readable as any other file its user makes.
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
/// As [`write`](fn@write), or if the picture has no pixels.
pub fn write_png(path: &Path, picture: &RgbImage) -> Result<(), OutputError> {
    let mut bytes = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive);
    picture
        .write_with_encoder(encoder)
        .map_err(|source| OutputError::Png { path: path.into(), source })?;
    write(path, &bytes)
}

/// Writes pictures as a GIF that plays for ever, whole or not at all.
///
/// # Errors
///
/// As [`write`](fn@write), or if the frames are none, too large, or of several sizes.
pub fn write_gif(path: &Path, frames: &[RgbImage], timing: Timing) -> Result<(), OutputError> {
    let bytes =
        gif(frames, timing).map_err(|source| OutputError::Gif { path: path.into(), source })?;
    write(path, &bytes)
}
