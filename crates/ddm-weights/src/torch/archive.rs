//! The zip archive that `torch.save` writes since version 1.6: `data.pkl`, and one file a storage.
//!
//! Nothing in it is compressed, so the numbers are read where they lie. The fields are those of PKWARE's
//! APPNOTE, 4.3 and 4.5.3.

use std::collections::HashMap;
use std::sync::Arc;

use super::pickle;
use super::state_dict::{Places, tensors};
use crate::cursor::Cursor;
use crate::source::Source;
use crate::{Fault, Tensors, WeightsError};

/// The longest end: 22 bytes and a comment.
const END: u64 = 22 + 0xffff;
/// The longest list of files that is read.
const DIRECTORY: u64 = 100_000_000;

pub(crate) fn open(source: &Arc<Source>) -> Result<Tensors, WeightsError> {
    let wrong = |reason: String| source.fault(Fault::Archive(reason));
    let files = files(source)?;
    let mut pickles = files.keys().filter_map(|name| name.strip_suffix("data.pkl"));
    let (Some(folder), None) = (pickles.next(), pickles.next()) else {
        return Err(wrong("it has no data.pkl, or several".to_owned()));
    };
    if let Some((at, length)) = files.get(&format!("{folder}byteorder")) {
        let order = source.bytes_at(*at, *length, 16)?;
        if order != b"little" {
            let order = String::from_utf8_lossy(&order);
            return Err(wrong(format!("its byte order is {order}, and little can be read")));
        }
    }
    // The name was taken from the list.
    let (at, length) = files[&format!("{folder}data.pkl")];
    let mut cursor = Cursor::new(source, at, at + length);
    let pickle = pickle::read(&mut cursor)?;
    let data = format!("{folder}data/");
    let places: Places = files
        .iter()
        .filter_map(|(name, place)| Some((name.strip_prefix(&data)?.to_owned(), *place)))
        .collect();
    tensors(source, &pickle, &places)
}

/// The files by name: where they lie and how long they are, within the archive.
fn files(source: &Source) -> Result<HashMap<String, (u64, u64)>, WeightsError> {
    let wrong = |reason: String| source.fault(Fault::Archive(reason));
    let (count, directory, length) = directory(source)?;
    if length > DIRECTORY {
        return Err(source.fault(Fault::Header { length, limit: DIRECTORY }));
    }
    let mut cursor = Cursor::new(source, directory, directory.saturating_add(length));
    let mut files = HashMap::new();
    for _ in 0..count {
        if cursor.array()? != *b"PK\x01\x02" {
            return Err(wrong("its list of files is damaged".to_owned()));
        }
        cursor.skip(4)?;
        let (flags, method) = (cursor.u16()?, cursor.u16()?);
        cursor.skip(8)?;
        let (packed, length) = (cursor.u32()?, cursor.u32()?);
        let (name, extra, comment) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
        cursor.skip(8)?;
        let header = cursor.u32()?;
        let name = String::from_utf8_lossy(&cursor.bytes(name.into())?).into_owned();
        let extra = cursor.bytes(extra.into())?;
        cursor.skip(comment.into())?;
        if method != 0 || flags & 1 != 0 {
            return Err(wrong(format!("{name} is compressed or encrypted")));
        }
        let [length, packed, header] = wide([length, packed, header], &extra)
            .ok_or_else(|| wrong(format!("the sizes of {name} are damaged")))?;
        if length != packed {
            return Err(wrong(format!("{name} has two lengths, {length} and {packed}")));
        }
        let begin = begin(source, header)?;
        let needed = begin.saturating_add(length);
        if needed > source.len() {
            return Err(source.fault(Fault::Truncated { length: source.len(), needed }));
        }
        if files.insert(name.clone(), (begin, length)).is_some() {
            return Err(source.fault(Fault::Twice(name)));
        }
    }
    Ok(files)
}

/// The number of files, and where the list of them is and how long.
fn directory(source: &Source) -> Result<(u64, u64, u64), WeightsError> {
    let wrong = || source.fault(Fault::Archive("it has no end, so it is incomplete".to_owned()));
    let length = source.len().min(END);
    let begin = source.len() - length;
    let tail = source.bytes_at(begin, length, END)?;
    let found = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").ok_or_else(wrong)?;
    let end = begin + found as u64;
    let mut cursor = Cursor::new(source, end, source.len());
    cursor.skip(10)?;
    let (count, length, at) = (cursor.u16()?, cursor.u32()?, cursor.u32()?);
    if count < u16::MAX && length < u32::MAX && at < u32::MAX {
        return Ok((count.into(), at.into(), length.into()));
    }
    // The fields of 64 bits lie before, and where they are is said in the 20 bytes just before.
    let mut cursor = Cursor::new(source, end.checked_sub(20).ok_or_else(wrong)?, end);
    if cursor.array()? != *b"PK\x06\x07" {
        return Err(wrong());
    }
    cursor.skip(4)?;
    let mut cursor = Cursor::new(source, cursor.u64()?, end);
    if cursor.position() > end || cursor.array()? != *b"PK\x06\x06" {
        return Err(wrong());
    }
    cursor.skip(28)?;
    let (count, length, at) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    Ok((count, at, length))
}

/// Length, packed length and place; those that do not fit into 32 bits follow in the extra field.
fn wide(narrow: [u32; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    let mut long: &[u8] = &[];
    while let [a, b, c, d, rest @ ..] = extra {
        let (tag, length) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]).into());
        // PyTorch pads the data with another field, which may be cut off.
        let field = rest.get(..length).unwrap_or(rest);
        if tag == 1 {
            long = field;
        }
        extra = &rest[field.len()..];
    }
    let mut values = [0; 3];
    for (value, narrow) in values.iter_mut().zip(narrow) {
        *value = u64::from(narrow);
        if narrow == u32::MAX {
            let (first, rest) = long.split_first_chunk()?;
            (*value, long) = (u64::from_le_bytes(*first), rest);
        }
    }
    Some(values)
}

/// Where the data of a file begin, after its own header.
fn begin(source: &Source, header: u64) -> Result<u64, WeightsError> {
    let mut local = [0; 30];
    source.read_at(header, &mut local)?;
    if local[..4] != *b"PK\x03\x04" {
        return Err(source.fault(Fault::Archive("a file in it has no header".to_owned())));
    }
    let word = |at: usize| u64::from(u16::from_le_bytes([local[at], local[at + 1]]));
    // The header was read at this place, so that the sum is near it.
    Ok(header + 30 + word(26) + word(28))
}
