//! Reads rows of numbers from a file, with errors that name the place.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::DataError;

/// The first two bytes of every gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Returns the bytes of a file, unpacked if it is gzipped (by its name or by its first bytes).
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = fs::read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => DataError::Missing { path: path.into() },
        _ => DataError::Read { path: path.into(), source },
    })?;
    let named_gzip = path.extension().is_some_and(|extension| extension == "gz");
    if named_gzip || bytes.starts_with(&GZIP) { unpack(path, &bytes) } else { Ok(bytes) }
}

/// Returns the content of a gzip file.
pub(super) fn unpack(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let mut content = Vec::new();
    GzDecoder::new(bytes)
        .read_to_end(&mut content)
        .map_err(|source| DataError::Gzip { path: path.into(), source })?;
    Ok(content)
}

/// One row of comma-separated text, with its position.
pub(super) struct Row<'a> {
    path: &'a Path,
    record: csv::StringRecord,
}

impl Row<'_> {
    /// The line in the file, counted from 1.
    fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    /// Returns an error unless the row has `count` columns; `expected` is the count in words.
    pub(super) fn columns(&self, count: usize, expected: &'static str) -> Result<(), DataError> {
        let found = self.record.len();
        if found == count {
            return Ok(());
        }
        Err(DataError::Columns { path: self.path.into(), row: self.line(), found, expected })
    }

    /// Returns the number in a column (from 0), if `accept` is true; `allowed` is the rule in words.
    pub(super) fn number(
        &self,
        column: usize,
        allowed: &'static str,
        accept: impl Fn(f32) -> bool,
    ) -> Result<f32, DataError> {
        let text = self.record.get(column).unwrap_or_default();
        match text.parse() {
            Ok(number) if accept(number) => Ok(number),
            _ => Err(DataError::Value {
                path: self.path.into(),
                row: self.line(),
                column: column + 1,
                value: text.into(),
                allowed,
            }),
        }
    }

    /// Returns whether no column is a number, as in a line of column names.
    pub(super) fn is_heading(&self) -> bool {
        self.line() == 1 && self.record.iter().all(|text| text.parse::<f32>().is_err())
    }
}

/// Returns the rows of comma-separated text; `path` is for error messages.
pub(super) fn rows<'a>(
    path: &'a Path,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<Row<'a>, DataError>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes)
        .into_records()
        .map(move |record| match record {
            Ok(record) => Ok(Row { path, record }),
            Err(source) => Err(DataError::Csv { path: path.into(), source }),
        })
}
