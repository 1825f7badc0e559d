//! Files that are there whole, or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::io::ErrorKind::{InvalidInput, Unsupported};
use std::path::{Path, PathBuf};

use crate::WeightsError;

/// A file that is complete on the disk under another name, and waits to take its own.
///
/// [`write`](Self::write) writes it beside its place, as `NAME.new`, and waits until the disk has it.
/// [`commit`](Self::commit) renames it, in place of a file that was there, and waits until the disk has
/// that too: so at each moment, even if the power fails, there is the old file or the new one. If it is
/// dropped before, it is removed. Its permissions are those of any new file, as the umask says.
///
/// Several files that belong together are all written first, and then [committed](Self::commit_all) in
/// their order: what names the others, such as an index or a manifest, comes last.
///
/// ```
/// use ddm_weights::NewFile;
/// # fn main() -> Result<(), ddm_weights::WeightsError> {
/// # let directory = tempfile::tempdir().unwrap();
/// let path = directory.path().join("manifest.json");
/// let file = NewFile::write(&path, |beside| std::fs::write(beside, "{}"))?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path).unwrap(), b"{}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it is removed if it is not committed"]
pub struct NewFile {
    path: PathBuf,
    /// Where it is now; nothing once it is renamed.
    beside: Option<PathBuf>,
}

impl NewFile {
    /// Writes a file for `path`: `write` gets the name under which it writes it. One of that name, which a
    /// run that was killed has left, is replaced; so no two processes may write the same file at once.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::Write`], with `path` and the error of `write` or of the system, for
    /// example for a missing directory or a full disk. Nothing is left then.
    pub fn write(
        path: impl Into<PathBuf>,
        write: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Self, WeightsError> {
        let path = path.into();
        let mut name: OsString = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
        name.push(".new");
        let beside = path.with_file_name(name);
        // What a run that was killed has left; if it cannot be removed, no file can be made here.
        let _ = fs::remove_file(&beside);
        // Created here first, which tells the usual permissions.
        let created = File::create_new(&beside).and_then(|file| file.metadata());
        let permissions = created.map_err(|source| failed(&path, source))?.permissions();
        let file = Self { path, beside: Some(beside.clone()) };
        let written = write(&beside).and_then(|()| {
            // Writers with temporary files of their own make these for one user alone.
            fs::set_permissions(&beside, permissions)?;
            // Windows flushes none but files that are open for writing.
            File::options().write(true).open(&beside)?.sync_all()
        });
        written.map_err(|source| failed(&file.path, source))?;
        Ok(file)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    ///
    /// Returns [`WeightsError::Write`] if it cannot be renamed, and the old file is as it was; or if its
    /// directory cannot be written.
    pub fn commit(self) -> Result<(), WeightsError> {
        Self::commit_all([self])
    }

    /// Gives several files their names, one after the other.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit). Files before the one that failed have their names, those after it are
    /// removed.
    pub fn commit_all(files: impl IntoIterator<Item = Self>) -> Result<(), WeightsError> {
        let mut last: Option<PathBuf> = None;
        for mut file in files {
            // The directory has all names before one is given elsewhere.
            if let Some(last) = &last
                && last.parent() != file.path.parent()
            {
                sync_directory(last)?;
            }
            if let Some(beside) = &file.beside {
                fs::rename(beside, &file.path).map_err(|source| failed(&file.path, source))?;
            }
            file.beside = None;
            last = Some(file.path.clone());
        }
        last.map_or(Ok(()), |last| sync_directory(&last))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // If it cannot be removed, the next write replaces it.
            let _ = fs::remove_file(beside);
        }
    }
}

/// Waits until the disk has the names in the directory of a file. Only Unix has this.
fn sync_directory(path: &Path) -> Result<(), WeightsError> {
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new("."));
        match File::open(directory).and_then(|directory| directory.sync_all()) {
            // There are file systems, of other machines, that have no such operation.
            Err(error) if matches!(error.kind(), Unsupported | InvalidInput) => {}
            synced => synced.map_err(|source| failed(path, source))?,
        }
    }
    Ok(())
}

pub(crate) fn failed(path: &Path, source: io::Error) -> WeightsError {
    WeightsError::Write { path: path.to_owned(), source }
}
