//! The bytes of a file, read where they are wanted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Fault, WeightsError};

/// A file that stays open, or bytes in memory.
///
/// Reads are positioned, and so need no `&mut`. A file that another process shortens meanwhile is an
/// error; it would end this process if it were mapped.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    length: u64,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    File(Positioned),
    Memory(Vec<u8>),
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, WeightsError> {
        let failed = |source| WeightsError::Read { path: path.to_owned(), source };
        // Asked first, since to open a pipe would wait for its writer.
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::other("it is not a file")));
        }
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let bytes = Bytes::File(Positioned::new(file));
        Ok(Arc::new(Self { path: path.to_owned(), length, bytes }))
    }

    pub(crate) fn memory(bytes: Vec<u8>) -> Arc<Self> {
        let (path, length) = (PathBuf::from("(bytes in memory)"), bytes.len() as u64);
        Arc::new(Self { path, length, bytes: Bytes::Memory(bytes) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Fills `out` from the bytes at `at`.
    pub(crate) fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), WeightsError> {
        let needed = at.saturating_add(out.len() as u64);
        if needed > self.length {
            return Err(self.fault(Fault::Truncated { length: self.length, needed }));
        }
        match &self.bytes {
            // Within the bytes, whose length was just compared.
            Bytes::Memory(bytes) => out.copy_from_slice(&bytes[at as usize..][..out.len()]),
            Bytes::File(file) => file.read_exact_at(at, out).map_err(|source| {
                if source.kind() == io::ErrorKind::UnexpectedEof {
                    return self.fault(Fault::Truncated { length: self.length, needed });
                }
                WeightsError::Read { path: self.path.clone(), source }
            })?,
        }
        Ok(())
    }

    /// The bytes at `at`, at most `limit` of them.
    pub(crate) fn bytes_at(
        &self,
        at: u64,
        length: u64,
        limit: u64,
    ) -> Result<Vec<u8>, WeightsError> {
        if length > limit {
            return Err(self.fault(Fault::Header { length, limit }));
        }
        let needed = at.saturating_add(length);
        if needed > self.length {
            return Err(self.fault(Fault::Truncated { length: self.length, needed }));
        }
        let mut bytes = vec![0; length as usize];
        self.read_at(at, &mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn fault(&self, fault: Fault) -> WeightsError {
        WeightsError::File { path: self.path.clone(), fault }
    }
}

/// A file with reads at a position.
#[cfg(unix)]
#[derive(Debug)]
struct Positioned(File);

#[cfg(unix)]
impl Positioned {
    fn new(file: File) -> Self {
        Self(file)
    }

    fn read_exact_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, out, at)
    }
}

/// A file with reads at a position, made of a seek and a read that nothing comes between.
#[cfg(not(unix))]
#[derive(Debug)]
struct Positioned(std::sync::Mutex<File>);

#[cfg(not(unix))]
impl Positioned {
    fn new(file: File) -> Self {
        Self(std::sync::Mutex::new(file))
    }

    fn read_exact_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        // Each read seeks first, so that a position left behind by a panic does no harm.
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(out)
    }
}
