//! Checkpoints: a folder in which a training can be continued after any interruption.

mod error;
mod files;
mod manifest;
mod snapshot;
mod stateful;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ddm_schedule::Invalid;

pub use error::CheckpointError;
use files::sync_directory;
pub use files::{Checkpoint, NewCheckpoint};
use manifest::Manifest;
pub use snapshot::Snapshot;
pub use stateful::Stateful;

/// A folder of checkpoints, each of them whole or not there.
///
/// [`Training::resume`](crate::Training::resume) saves to it and continues from it; a loop of your own
/// can do the same by [`save`](Self::save) and [`last`](Self::last), with a [`Snapshot`]. A checkpoint `step-00000500` is a
/// folder of files. It is written beside as `step-00000500.new`, each file is brought to the disk, then a
/// manifest of their SHA-256 hashes, and then it gets its name: whenever the program or the machine
/// stops, the last checkpoint is there. One that was damaged later does not match its manifest; then it
/// is put aside as `step-00000500.damaged` with a warning in the log, and the one before it is taken.
/// While it is open, the folder is locked against a second run.
///
/// ```
/// use ddm_train::Checkpoints;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let checkpoints = Checkpoints::open(folder)?.every(100)?.keep(3)?;
/// let start = match checkpoints.last()? {
///     Some(checkpoint) => checkpoint.step(), // and checkpoint.read("state.json")?
///     None => 0,
/// };
/// for step in start + 1..=200 {
///     if checkpoints.is_due(step) {
///         checkpoints.save(step, |files| files.write("state.json", b"{}"))?;
///     }
/// }
/// assert_eq!(checkpoints.last()?.expect("two were saved").step(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Checkpoints {
    directory: PathBuf,
    every: usize,
    keep: usize,
    /// What is saved with each, by file name.
    states: Vec<(String, Box<dyn Stateful>)>,
    /// The lock ends with the process, however it ends.
    lock: File,
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that was just started has it open as well until
        // its program runs.
        let _ = self.lock.unlock(); // the lock ends with the file in any case
    }
}

impl Checkpoints {
    /// Opens a folder, or makes it. By default a checkpoint is due every 1000 steps, and the last two
    /// are kept.
    ///
    /// # Errors
    ///
    /// Returns an error if another run has it open, or if it cannot be written to.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(CheckpointError::io("create", &directory))?;
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(CheckpointError::io("create", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CheckpointError::Locked { directory }),
            Err(TryLockError::Error(error)) => {
                return Err(CheckpointError::io("lock", &path)(error));
            }
        }
        let checkpoints = Self { directory, every: 1000, keep: 2, states: Vec::new(), lock };
        checkpoints.clear_remains()?;
        Ok(checkpoints)
    }

    /// Sets after how many steps a checkpoint is due; at least 1.
    ///
    /// # Errors
    ///
    /// Returns an error for 0.
    pub fn every(mut self, steps: usize) -> Result<Self, Invalid> {
        Invalid::require(steps > 0, "steps between checkpoints", 0.0, "at least 1")?;
        self.every = steps;
        Ok(self)
    }

    /// Sets how many checkpoints are kept; at least 2, so that there is one before the last.
    ///
    /// # Errors
    ///
    /// Returns an error for less than 2.
    pub fn keep(mut self, count: usize) -> Result<Self, Invalid> {
        Invalid::require(count > 1, "checkpoints to keep", count as f64, "at least 2")?;
        self.keep = count;
        Ok(self)
    }

    /// Adds what a loss function keeps from step to step, to be saved in a file of this name and restored when
    /// the training continues.
    ///
    /// # Panics
    ///
    /// [`save`](Self::save) panics if the name is not a plain file name, or is taken.
    #[must_use]
    pub fn with(mut self, name: &str, state: impl Stateful + 'static) -> Self {
        self.states.push((name.to_owned(), Box::new(state)));
        self
    }

    /// Restores the states that were added by [`with`](Self::with) from a checkpoint.
    ///
    /// # Errors
    ///
    /// Returns an error if the checkpoint has not all of them, or one does not fit.
    pub fn restore(&self, saved: &Checkpoint) -> Result<(), CheckpointError> {
        for (name, state) in &self.states {
            state.restore(saved.read(name)?).map_err(|error| saved.misfit(name, error))?;
        }
        Ok(())
    }

    /// Returns the folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns whether a checkpoint is due after this many steps.
    pub fn is_due(&self, step: usize) -> bool {
        step.is_multiple_of(self.every)
    }

    /// Saves a checkpoint after `step` steps: `write` writes its files. Then removes the oldest ones, but
    /// for those to keep. Returns its folder.
    ///
    /// # Errors
    ///
    /// Returns the errors of `write`, and an error if there is a checkpoint of a later step or the same
    /// one, or if it cannot be written, as on a full disk. What was there before is then still there.
    pub fn save<E: From<CheckpointError>>(
        &self,
        step: usize,
        write: impl FnOnce(&mut NewCheckpoint) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        if let Some(&last) = self.steps()?.last().filter(|&&last| last >= step) {
            let directory = self.directory.clone();
            return Err(CheckpointError::NotLater { directory, step, last }.into());
        }
        let path = self.path(step);
        let beside = with_suffix(&path, NEW);
        remove(&beside)?;
        let written =
            NewCheckpoint::create(beside.clone(), step).map_err(E::from).and_then(|mut new| {
                write(&mut new)?;
                for (name, state) in &self.states {
                    let state = state.state().map_err(|error| new.unwritable(name, error))?;
                    new.write(name, &state)?;
                }
                Ok(new.finish()?)
            });
        if let Err(error) = written {
            let _ = fs::remove_dir_all(&beside); // the first error is the one to report
            return Err(error);
        }
        self.rename(&beside, &path)?;
        for step in self.steps()?.into_iter().rev().skip(self.keep) {
            // Renamed first, so that a folder that is half removed is not taken for a checkpoint.
            remove(&self.put_aside(&self.path(step), OLD)?)?;
        }
        Ok(path)
    }

    /// Returns the last checkpoint that is whole; `None` if none was saved.
    ///
    /// # Errors
    ///
    /// Returns an error if there are checkpoints and none is whole, or if the folder cannot be read.
    pub fn last(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        let steps = self.steps()?;
        for &step in steps.iter().rev() {
            let directory = self.path(step);
            match Manifest::check(&directory, step) {
                Ok(manifest) => return Ok(Some(Checkpoint { directory, manifest })),
                Err(error) => log::warn!("{error}"),
            }
            self.put_aside(&directory, DAMAGED)?;
        }
        match self.has_damaged()? {
            true => Err(CheckpointError::NoneWhole { directory: self.directory.clone() }),
            false => Ok(None),
        }
    }

    fn path(&self, step: usize) -> PathBuf {
        self.directory.join(format!("{PREFIX}{step:08}"))
    }

    /// Returns the steps of the checkpoints, in order.
    fn steps(&self) -> Result<Vec<usize>, CheckpointError> {
        let names = self.names()?;
        let steps = names.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok());
        let mut steps: Vec<usize> = steps.collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Returns the names of all checkpoints and of what is left of some.
    fn names(&self) -> Result<Vec<String>, CheckpointError> {
        let read = || {
            let entries = fs::read_dir(&self.directory)?;
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names.collect::<io::Result<Vec<String>>>()
        };
        let mut names = read().map_err(CheckpointError::io("read", &self.directory))?;
        names.retain(|name| name.starts_with(PREFIX));
        Ok(names)
    }

    fn has_damaged(&self) -> Result<bool, CheckpointError> {
        Ok(self.names()?.iter().any(|name| name.ends_with(DAMAGED)))
    }

    /// Removes what an interrupted run left.
    fn clear_remains(&self) -> Result<(), CheckpointError> {
        for name in self.names()?.iter().filter(|name| name.ends_with(NEW) || name.ends_with(OLD)) {
            remove(&self.directory.join(name))?;
        }
        Ok(())
    }

    /// Renames a checkpoint, durably, to a name with this suffix.
    fn put_aside(&self, path: &Path, suffix: &str) -> Result<PathBuf, CheckpointError> {
        let aside = with_suffix(path, suffix);
        remove(&aside)?;
        self.rename(path, &aside)?;
        Ok(aside)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), CheckpointError> {
        fs::rename(from, to).map_err(CheckpointError::io("rename", from))?;
        sync_directory(&self.directory)
    }
}

const PREFIX: &str = "step-";
/// Of a checkpoint that is being written, one that is being removed, and one that is not whole.
const NEW: &str = ".new";
const OLD: &str = ".old";
const DAMAGED: &str = ".damaged";

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn remove(directory: &Path) -> Result<(), CheckpointError> {
    if !directory.exists() {
        return Ok(());
    }
    fs::remove_dir_all(directory).map_err(CheckpointError::io("remove", directory))
}
