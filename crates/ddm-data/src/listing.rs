//! The image files of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::DataError;
use crate::decode::ENDINGS;

/// What a folder holds, sorted by name.
pub(crate) struct Listing {
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) images: Vec<PathBuf>,
}

impl Listing {
    /// Lists a folder. Names that begin with a dot are left out.
    pub(crate) fn of(folder: &Path) -> Result<Self, DataError> {
        let failed = |source| DataError::Read { path: folder.to_path_buf(), source };
        let (mut folders, mut images) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let hidden =
                path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if is_image(&path) {
                images.push(path);
            }
        }
        folders.sort();
        images.sort();
        Ok(Self { folders, images })
    }

    /// Returns the images, if there are any.
    pub(crate) fn images(self, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        match self.images.is_empty() {
            false => Ok(self.images),
            true => Err(DataError::Empty {
                what: folder.display().to_string(),
                hint: "put images into it (.png, .jpg, .jpeg or .webp)",
            }),
        }
    }
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}
