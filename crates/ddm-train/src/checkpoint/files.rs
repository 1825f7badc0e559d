//! The files of one checkpoint, while it is written and afterwards.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{CheckpointError, Manifest};

/// A checkpoint that is being written.
#[derive(Debug)]
pub struct NewCheckpoint {
    directory: PathBuf,
    manifest: Manifest,
}

impl NewCheckpoint {
    pub(super) fn create(directory: PathBuf, step: usize) -> Result<Self, CheckpointError> {
        fs::create_dir(&directory).map_err(CheckpointError::io("create", &directory))?;
        Ok(Self { directory, manifest: Manifest::new(step) })
    }

    /// Writes a file of this name.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written whole, as on a full disk.
    ///
    /// # Panics
    ///
    /// Panics if the name is not a plain file name, or is taken.
    pub fn write(&mut self, name: &str, content: &[u8]) -> Result<(), CheckpointError> {
        let plain = Path::new(name).file_name().is_some_and(|file| file == name);
        assert!(plain && name != Manifest::FILE, "{name:?} is not a name for a file");
        assert!(!self.manifest.contains(name), "{name} is written already");
        write_synced(&self.directory.join(name), content)?;
        self.manifest.add(name, content);
        Ok(())
    }

    /// Returns the number of steps that were taken before it.
    pub(super) fn step(&self) -> usize {
        self.manifest.step
    }

    /// Returns the error of a file that cannot be written.
    pub(super) fn unwritable(&self, name: &str, reason: impl ToString) -> CheckpointError {
        let (path, reason) = (self.directory.join(name), reason.to_string());
        CheckpointError::Io { action: "write", path, reason }
    }

    /// Writes the manifest. After it, all is on the disk.
    pub(super) fn finish(self) -> Result<(), CheckpointError> {
        let text = serde_json::to_vec_pretty(&self.manifest)
            .map_err(|error| self.unwritable(Manifest::FILE, error))?;
        write_synced(&self.directory.join(Manifest::FILE), &text)?;
        sync_directory(&self.directory)
    }
}

/// A checkpoint that is whole.
#[derive(Debug)]
pub struct Checkpoint {
    pub(super) directory: PathBuf,
    pub(super) manifest: Manifest,
}

impl Checkpoint {
    /// Returns the number of steps that were taken before it.
    pub fn step(&self) -> usize {
        self.manifest.step
    }

    /// Returns its folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the content of a file.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such file, or if it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        if !self.manifest.contains(name) {
            let (path, reason) = (self.directory.clone(), format!("it has no {name}"));
            return Err(CheckpointError::Damaged { path, reason });
        }
        let path = self.directory.join(name);
        fs::read(&path).map_err(CheckpointError::io("read", &path))
    }

    /// Returns the content of a file of text.
    pub(crate) fn text(&self, name: &str) -> Result<String, CheckpointError> {
        String::from_utf8(self.read(name)?).map_err(|error| self.misfit(name, error))
    }

    /// Returns the error of a file that does not fit, with what does not fit.
    pub fn misfit(&self, file: &str, reason: impl ToString) -> CheckpointError {
        let (path, file) = (self.directory.clone(), file.to_owned());
        CheckpointError::Record { path, file, reason: reason.to_string() }
    }
}

fn write_synced(path: &Path, content: &[u8]) -> Result<(), CheckpointError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(CheckpointError::io("write", path))
}

/// Makes the names in a folder durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), CheckpointError> {
    // Elsewhere a folder cannot be opened, and a rename is durable by itself.
    #[cfg(unix)]
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(CheckpointError::io("sync", path))?;
    Ok(())
}
