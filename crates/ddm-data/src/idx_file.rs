//! IDX files: a header of big-endian sizes, then bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use thiserror::Error;

use crate::DataError;

/// The largest number of bytes that a file may hold: far above MNIST's 47 MB, and what a machine
/// can have in memory.
const MOST: u64 = 4 << 30;

/// What is wrong with an IDX file.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum IdxFault {
    /// Other bytes at the start.
    #[error("begins with {found:02x?}, but an IDX file begins with 00 00; it is another file")]
    Magic {
        /// The first bytes.
        found: [u8; 2],
    },
    /// Other numbers than bytes.
    #[error("holds numbers of type {found:#04x}, but must hold unsigned bytes, type 0x08")]
    Type {
        /// The type.
        found: u8,
    },
    /// Another number of dimensions.
    #[error("has {found} dimensions, but must have {expected} (3 for images, 1 for labels)")]
    Dimensions {
        /// The number of dimensions.
        found: u8,
        /// The right one.
        expected: usize,
    },
    /// No items, or items without pixels.
    #[error("is empty: its sizes are {sizes:?}; download the file again")]
    Empty {
        /// The sizes.
        sizes: Vec<usize>,
    },
    /// Sizes that no memory holds.
    #[error(
        "says that its sizes are {sizes:?}, but at most {MOST} bytes are read; the file is \
        damaged"
    )]
    TooLarge {
        /// The sizes.
        sizes: Vec<usize>,
    },
    /// A file that is cut off.
    #[error("is cut off: found {found} bytes, but {expected} are needed; download the file again")]
    CutOff {
        /// The number of bytes.
        found: u64,
        /// The number of bytes that the header says.
        expected: u64,
    },
    /// A file with more than its header says.
    #[error("has more than the {expected} bytes that its header says; download the file again")]
    TooLong {
        /// The number of bytes that the header says.
        expected: u64,
    },
    /// A file that does not unpack.
    #[error("does not unpack as a gzip file ({reason}); download the file again")]
    Gzip {
        /// The unpacker's message.
        reason: String,
    },
}

/// A file whose header has been read.
pub(crate) struct Header<const D: usize> {
    pub(crate) path: PathBuf,
    pub(crate) sizes: [usize; D],
    reader: Box<dyn Read>,
    gzip: bool,
    length: u64,
}

impl<const D: usize> Header<D> {
    /// Reads the header, and checks it: with the size of the file too, unless it is gzipped.
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let failed = |source| DataError::Read { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(failed)?;
        let length_of_file = file.metadata().map_err(failed)?.len();
        let mut reader = BufReader::new(file);
        let gzip = reader.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = match gzip {
            true => Box::new(MultiGzDecoder::new(reader)),
            false => Box::new(reader),
        };
        let mut header = Self { path: path.to_path_buf(), sizes: [0; D], reader, gzip, length: 0 };

        let [zero, one, kind, dimensions] = header.word(0)?;
        header.require([zero, one] == [0, 0], || IdxFault::Magic { found: [zero, one] })?;
        header.require(kind == 0x08, || IdxFault::Type { found: kind })?;
        let fault = || IdxFault::Dimensions { found: dimensions, expected: D };
        header.require(usize::from(dimensions) == D, fault)?;
        for dimension in 0..D {
            let size = u32::from_be_bytes(header.word(1 + dimension as u64)?);
            header.sizes[dimension] = usize::try_from(size).unwrap_or(usize::MAX);
        }

        let sizes = header.sizes.to_vec();
        header.require(!sizes.contains(&0), || IdxFault::Empty { sizes: sizes.clone() })?;
        let product =
            sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64));
        let length = product.filter(|&length| length <= MOST && usize::try_from(length).is_ok());
        header.require(length.is_some(), || IdxFault::TooLarge { sizes })?;
        header.length = length.unwrap_or_default();
        if !gzip {
            header.require_length(length_of_file)?;
        }
        Ok(header)
    }

    /// Reads the rest. Memory grows with what is there, not with what the header says.
    pub(crate) fn bytes(mut self) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(self.length + 1).read_to_end(&mut bytes);
        let at = Self::START + bytes.len() as u64;
        read.map_err(|error| self.failed(error, at))?;
        self.require_length(at)?;
        Ok(bytes)
    }

    /// The number of bytes of the header.
    const START: u64 = 4 + 4 * D as u64;

    /// Reads the n-th four bytes of the header.
    fn word(&mut self, number: u64) -> Result<[u8; 4], DataError> {
        let mut word = [0; 4];
        match self.reader.read_exact(&mut word) {
            Ok(()) => Ok(word),
            Err(error) => Err(self.failed(error, 4 * number)),
        }
    }

    /// Returns the error for a failure to read after this many bytes.
    fn failed(&self, source: io::Error, found: u64) -> DataError {
        match (source.kind(), self.gzip) {
            (ErrorKind::UnexpectedEof, _) => {
                self.fault(IdxFault::CutOff { found, expected: Self::START + self.length })
            }
            (_, true) => self.fault(IdxFault::Gzip { reason: source.to_string() }),
            _ => DataError::Read { path: self.path.clone(), source },
        }
    }

    fn require_length(&self, found: u64) -> Result<(), DataError> {
        let expected = Self::START + self.length;
        self.require(found >= expected, || IdxFault::CutOff { found, expected })?;
        self.require(found == expected, || IdxFault::TooLong { expected })
    }

    fn require(&self, good: bool, fault: impl FnOnce() -> IdxFault) -> Result<(), DataError> {
        if good { Ok(()) } else { Err(self.fault(fault())) }
    }

    fn fault(&self, fault: IdxFault) -> DataError {
        DataError::Idx { path: self.path.clone(), fault }
    }
}

/// Returns the first of the names that a file may have in a folder.
pub(crate) fn looked_for(folder: &Path, stem: &str, kind: &str) -> Result<PathBuf, DataError> {
    let names = [("-", ""), ("-", ".gz"), (".", ""), (".", ".gz")];
    let names = names.map(|(between, end)| format!("{stem}{between}{kind}{end}"));
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| DataError::NoFile {
        folder: folder.to_path_buf(),
        looked_for: names.to_vec(),
    })
}
