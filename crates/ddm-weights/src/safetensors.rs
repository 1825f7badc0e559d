//! The header of a safetensors file: a length, a JSON object, and the data without gaps.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::source::Source;
use crate::storage::Storage;
use crate::stored::Other;
use crate::{Fault, Stored, TensorView, Tensors, WeightsError};

/// The longest header that the format's own reader takes.
const HEADER: u64 = 100_000_000;
/// The most axes of a tensor, far more than any has.
pub(crate) const AXES: usize = 32;

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The entries by name, and those of `__metadata__`. A name that is there twice is an error, and not
/// silently the later one.
#[derive(Default)]
struct Header {
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Names)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        while let Some(name) = access.next_key::<String>()? {
            if name == "__metadata__" {
                header.metadata = access.next_value()?;
                continue;
            }
            match header.entries.entry(name) {
                Place::Vacant(place) => place.insert(access.next_value()?),
                Place::Occupied(place) => {
                    return Err(A::Error::custom(format!("{} is there twice", place.key())));
                }
            };
        }
        Ok(header)
    }
}

pub(crate) fn open(source: &Arc<Source>) -> Result<Tensors, WeightsError> {
    let mut length = [0; 8];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    let header = source.bytes_at(8, length, HEADER)?;
    // Not beyond the file's end, since the header was read.
    let begin = 8 + length;
    let parse = |header: &[u8]| read(header, source, begin);
    let (views, metadata) = parse(&header).map_err(|fault| source.fault(fault))?;
    Ok(Tensors::new(source.path().to_owned(), views, metadata))
}

type Parsed = (BTreeMap<String, TensorView>, BTreeMap<String, String>);

fn read(header: &[u8], source: &Arc<Source>, begin: u64) -> Result<Parsed, Fault> {
    let Header { entries, metadata } =
        serde_json::from_slice(header).map_err(|error| Fault::Json(error.to_string()))?;
    let length = source.len() - begin;
    let mut views = BTreeMap::new();
    let mut ranges = Vec::new();
    for (tensor, entry) in entries {
        let (from, to) = entry.data_offsets;
        if from > to || to > length {
            return Err(Fault::Outside { tensor, begin: from, end: to, length });
        }
        let Some(stored) = stored(&entry.dtype) else {
            return Err(Fault::Type { tensor, found: entry.dtype });
        };
        let Some((shape, elements)) = shape(&entry.shape) else {
            return Err(Fault::Shape { tensor, shape: entry.shape });
        };
        if stored.bytes(elements) != Some(to - from) {
            let (shape, stored, bytes) = (entry.shape, stored.to_string(), to - from);
            return Err(Fault::Size { tensor, shape, stored, bytes });
        }
        ranges.push((from, to, tensor.clone()));
        let source = source.clone();
        let storage = Storage::new(source, begin + from, stored, elements);
        views.insert(tensor, TensorView::whole(storage, shape));
    }
    cover(ranges, length)?;
    Ok((views, metadata))
}

/// Checks that the data are in the file once: without overlaps and without gaps.
fn cover(mut ranges: Vec<(u64, u64, String)>, length: u64) -> Result<(), Fault> {
    ranges.sort();
    let mut covered = 0;
    let mut last = String::new();
    for (begin, end, tensor) in ranges {
        if begin < covered {
            return Err(Fault::Overlap { first: last, second: tensor });
        }
        if begin > covered {
            return Err(Fault::Gap { begin: covered, end: begin });
        }
        (covered, last) = (end, tensor);
    }
    if covered < length { Err(Fault::Gap { begin: covered, end: length }) } else { Ok(()) }
}

/// A shape with its number of elements, or `None` if there cannot be such a tensor.
pub(crate) fn shape(axes: &[u64]) -> Option<(Vec<usize>, u64)> {
    if axes.len() > AXES {
        return None;
    }
    // Zero times anything is small: so the product without the zeros must be possible too.
    let all: u64 = axes.iter().try_fold(1, |n: u64, axis| n.checked_mul((*axis).max(1)))?;
    isize::try_from(all).ok()?;
    let shape = axes.iter().map(|axis| usize::try_from(*axis)).collect::<Result<_, _>>().ok()?;
    Some((shape, axes.iter().product()))
}

fn stored(dtype: &str) -> Option<Stored> {
    let other = |name, bytes, elements| Stored::Other(Other { name, bytes, elements });
    Some(match dtype {
        "F64" => Stored::F64,
        "F32" => Stored::F32,
        "F16" => Stored::F16,
        "BF16" => Stored::BF16,
        "F8_E4M3" => Stored::F8E4M3,
        "F8_E5M2" => Stored::F8E5M2,
        "I64" => Stored::I64,
        "I32" => Stored::I32,
        "I16" => Stored::I16,
        "I8" => Stored::I8,
        "U64" => Stored::U64,
        "U32" => Stored::U32,
        "U16" => Stored::U16,
        "U8" => Stored::U8,
        "BOOL" => Stored::Bool,
        "F4" => other("F4", 1, 2),
        "F6_E2M3" => other("F6_E2M3", 3, 4),
        "F6_E3M2" => other("F6_E3M2", 3, 4),
        "F8_E8M0" => other("F8_E8M0", 1, 1),
        "F8_E4M3FNUZ" => other("F8_E4M3FNUZ", 1, 1),
        "F8_E5M2FNUZ" => other("F8_E5M2FNUZ", 1, 1),
        "C64" => other("C64", 8, 1),
        _ => return None,
    })
}
