//! The header of a GGUF file: metadata, then names, shapes and places of tensors.
//!
//! Described in ggml's `docs/gguf.md`. Axes are listed from the innermost one on, so they are reversed
//! here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::safetensors::shape;
use crate::source::Source;
use crate::storage::Storage;
use crate::stored::Other;
use crate::{Fault, Stored, TensorView, Tensors, WeightsError};

/// The longest name or text that is kept.
const TEXT: u64 = 1 << 16;
/// Arrays within arrays, more than which no file has.
const DEPTH: usize = 4;
/// The key behind which converters for diffusion models keep a tensor's shape, where they have changed
/// it so that its rows are whole blocks.
const ORIGINAL: &str = "comfy.gguf.orig_shape.";

#[derive(Default)]
struct Metadata {
    texts: BTreeMap<String, String>,
    original_shapes: BTreeMap<String, Vec<u64>>,
}

pub(crate) fn open(source: &Arc<Source>) -> Result<Tensors, WeightsError> {
    let fault = |fault| source.fault(fault);
    let mut cursor = Cursor::new(source, 4, source.len());
    let version = cursor.u32()?;
    if !(2..=3).contains(&version) {
        let (found, allowed) = (version.to_string(), "2 and 3, of the lowest byte first,");
        return Err(fault(Fault::Version { found, allowed }));
    }
    let (tensors, pairs) = (cursor.u64()?, cursor.u64()?);
    let mut metadata = Metadata::default();
    for _ in 0..pairs {
        pair(&mut cursor, &mut metadata)?;
    }
    let mut entries = Vec::new();
    for _ in 0..tensors {
        entries.push(entry(&mut cursor)?);
    }
    let alignment = match metadata.texts.get("general.alignment") {
        None => 32,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n: &u64| n.is_power_of_two() && *n <= TEXT)
            .ok_or_else(|| fault(Fault::Metadata(format!("the alignment {text}"))))?,
    };
    // A cursor is never beyond the end of a file.
    let begin = cursor.position().next_multiple_of(alignment);
    let (mut views, mut ranges) = (BTreeMap::new(), Vec::new());
    for Entry { name, axes, stored, offset } in entries {
        let axes = metadata.original_shapes.remove(&name).unwrap_or(axes);
        let Some((shape, elements)) = shape(&axes) else {
            return Err(fault(Fault::Shape { tensor: name, shape: axes }));
        };
        let Some(bytes) = stored.bytes(elements) else {
            let (shape, stored) = (axes, stored.to_string());
            return Err(fault(Fault::Size { tensor: name, shape, stored, bytes: 0 }));
        };
        let from = begin.saturating_add(offset);
        let to = from.saturating_add(bytes);
        if to > source.len() {
            let length = source.len();
            return Err(fault(Fault::Outside { tensor: name, begin: from, end: to, length }));
        }
        ranges.push((from, to, name.clone()));
        let storage = Storage::new(source.clone(), from, stored, elements);
        if views.insert(name.clone(), TensorView::whole(storage, shape)).is_some() {
            return Err(fault(Fault::Twice(name)));
        }
    }
    ranges.sort();
    for pair in ranges.windows(2) {
        if pair[0].1 > pair[1].0 {
            let (first, second) = (pair[0].2.clone(), pair[1].2.clone());
            return Err(fault(Fault::Overlap { first, second }));
        }
    }
    Ok(Tensors::new(source.path().to_owned(), views, metadata.texts))
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, WeightsError> {
    let length = cursor.u64()?;
    if length > TEXT {
        let fault = Fault::Metadata(format!("a name of {length} bytes"));
        return Err(cursor.source().fault(fault));
    }
    let bytes = cursor.bytes(length)?;
    String::from_utf8(bytes)
        .map_err(|_| cursor.source().fault(Fault::Metadata("a name that is no UTF-8".to_owned())))
}

/// Reads a pair of key and value, and keeps it if it is a text or a number.
fn pair(cursor: &mut Cursor<'_>, metadata: &mut Metadata) -> Result<(), WeightsError> {
    let key = text(cursor)?;
    let value = match cursor.u32()? {
        0 => cursor.u8()?.to_string(),
        1 => (cursor.u8()? as i8).to_string(),
        2 => cursor.u16()?.to_string(),
        3 => (cursor.u16()? as i16).to_string(),
        4 => cursor.u32()?.to_string(),
        5 => (cursor.u32()? as i32).to_string(),
        6 => f32::from_bits(cursor.u32()?).to_string(),
        7 => (cursor.u8()? != 0).to_string(),
        // Texts may be long, such as templates of prompts: those are left out.
        8 => {
            let length = cursor.u64()?;
            if length > TEXT {
                return cursor.skip(length);
            }
            String::from_utf8_lossy(&cursor.bytes(length)?).into_owned()
        }
        9 => {
            if let Some(name) = key.strip_prefix(ORIGINAL) {
                let axes = original(cursor)?;
                metadata.original_shapes.insert(name.to_owned(), axes);
                return Ok(());
            }
            return skip_array(cursor, DEPTH);
        }
        10 => cursor.u64()?.to_string(),
        11 => (cursor.u64()? as i64).to_string(),
        12 => f64::from_bits(cursor.u64()?).to_string(),
        other => return Err(unknown(cursor, other)),
    };
    if metadata.texts.insert(key.clone(), value).is_some() {
        return Err(cursor.source().fault(Fault::Twice(key)));
    }
    Ok(())
}

fn unknown(cursor: &Cursor<'_>, kind: u32) -> WeightsError {
    cursor.source().fault(Fault::Metadata(format!("a value of the unknown type {kind}")))
}

/// A shape as an array of 32-bit integers, the outermost axis first.
fn original(cursor: &mut Cursor<'_>) -> Result<Vec<u64>, WeightsError> {
    let (kind, length) = (cursor.u32()?, cursor.u64()?);
    if !(4..=5).contains(&kind) || length > crate::safetensors::AXES as u64 {
        let fault = Fault::Metadata("an original shape that is none".to_owned());
        return Err(cursor.source().fault(fault));
    }
    (0..length).map(|_| cursor.u32().map(u64::from)).collect()
}

fn skip_array(cursor: &mut Cursor<'_>, depth: usize) -> Result<(), WeightsError> {
    let (kind, length) = (cursor.u32()?, cursor.u64()?);
    let size = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        8 => {
            for _ in 0..length {
                let length = cursor.u64()?;
                cursor.skip(length)?;
            }
            return Ok(());
        }
        9 if depth > 0 => {
            for _ in 0..length {
                skip_array(cursor, depth - 1)?;
            }
            return Ok(());
        }
        other => return Err(unknown(cursor, other)),
    };
    cursor.skip(length.saturating_mul(size))
}

struct Entry {
    name: String,
    axes: Vec<u64>,
    stored: Stored,
    offset: u64,
}

fn entry(cursor: &mut Cursor<'_>) -> Result<Entry, WeightsError> {
    let name = text(cursor)?;
    let rank = cursor.u32()?;
    if rank as usize > crate::safetensors::AXES {
        let fault = Fault::Metadata(format!("{name} with {rank} axes"));
        return Err(cursor.source().fault(fault));
    }
    let mut axes = (0..rank).map(|_| cursor.u64()).collect::<Result<Vec<_>, _>>()?;
    axes.reverse();
    let kind = cursor.u32()?;
    let Some(stored) = stored(kind) else {
        let found = format!("number {kind}");
        return Err(cursor.source().fault(Fault::Type { tensor: name, found }));
    };
    Ok(Entry { name, axes, stored, offset: cursor.u64()? })
}

/// The types by ggml's numbers.
fn stored(kind: u32) -> Option<Stored> {
    let other = |name, bytes, elements| Stored::Other(Other { name, bytes, elements });
    Some(match kind {
        0 => Stored::F32,
        1 => Stored::F16,
        2 => Stored::Q4_0,
        3 => Stored::Q4_1,
        6 => Stored::Q5_0,
        7 => Stored::Q5_1,
        8 => Stored::Q8_0,
        9 => other("Q8_1", 36, 32),
        10 => Stored::Q2K,
        11 => Stored::Q3K,
        12 => Stored::Q4K,
        13 => Stored::Q5K,
        14 => Stored::Q6K,
        15 => other("Q8_K", 292, 256),
        16 => Stored::IQ2XXS,
        17 => Stored::IQ2XS,
        18 => Stored::IQ3XXS,
        19 => Stored::IQ1S,
        20 => Stored::IQ4NL,
        21 => Stored::IQ3S,
        22 => Stored::IQ2S,
        23 => Stored::IQ4XS,
        24 => Stored::I8,
        25 => Stored::I16,
        26 => Stored::I32,
        27 => Stored::I64,
        28 => Stored::F64,
        29 => Stored::IQ1M,
        30 => Stored::BF16,
        34 => Stored::TQ1_0,
        35 => Stored::TQ2_0,
        39 => Stored::MXFP4,
        40 => Stored::NVFP4,
        _ => return None,
    })
}
