//! What `torch.save` wrote before version 1.6: five pickles, and then the numbers.
//!
//! A magic number, a version, facts about the machine, the object, and the keys of storages in the order
//! in which they follow: each with its number of elements in 64 bits.

use std::collections::HashMap;
use std::sync::Arc;

use super::pickle::{self, Object, Value};
use super::state_dict::{Places, tensors};
use crate::cursor::Cursor;
use crate::source::Source;
use crate::{Fault, Stored, Tensors, WeightsError};

/// The first pickle: a number of ten bytes.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

pub(crate) fn open(source: &Arc<Source>) -> Result<Tensors, WeightsError> {
    let mut cursor = Cursor::new(source, 0, source.len());
    let wrong = |at, reason: &str| {
        source.fault(Fault::Pickle { at, reason: format!("{reason}, as torch.save writes it") })
    };
    if cursor.bytes(source.len().min(MAGIC.len() as u64))? != MAGIC {
        return Err(wrong(0, "it does not begin with the number"));
    }
    if pickle::read(&mut cursor)?.top != Value::Int(1001) {
        return Err(wrong(0, "it is not of version 1001"));
    }
    pickle::read(&mut cursor)?;
    let object = pickle::read(&mut cursor)?;
    let keys = keys(&pickle::read(&mut cursor)?)
        .ok_or_else(|| wrong(cursor.position(), "it has no list of storages"))?;
    let mut sizes: HashMap<&str, u64> = HashMap::new();
    for storage in &object.objects {
        if let Object::Storage(storage) = storage {
            sizes.insert(&storage.key, storage.stored.unwrap_or(Stored::U8).block().0);
        }
    }
    let mut places = Places::new();
    for key in keys {
        let Some(size) = sizes.get(key.as_str()) else {
            return Err(wrong(cursor.position(), "it lists a storage that nothing uses"));
        };
        let bytes = cursor.u64()?.saturating_mul(*size);
        if places.insert(key.clone(), (cursor.position(), bytes)).is_some() {
            return Err(source.fault(Fault::Twice(key)));
        }
        cursor.skip(bytes)?;
    }
    tensors(source, &object, &places)
}

/// A list of texts.
fn keys(pickle: &pickle::Pickle) -> Option<Vec<String>> {
    let object = |value| match value {
        Value::At(place) => pickle.objects.get(place),
        _ => None,
    };
    let Some(Object::List(keys)) = object(pickle.top) else { return None };
    let text = |key: &Value| match object(*key) {
        // A key is a number, and no longer than such; a list may name one text often.
        Some(Object::Text(text)) if text.len() <= 64 => Some(text.clone()),
        _ => None,
    };
    keys.iter().map(text).collect()
}
