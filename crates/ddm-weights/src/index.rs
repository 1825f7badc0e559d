//! Shards, and the index that lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use crate::json::Unique;
use crate::source::Source;
use crate::{Fault, Tensors, WeightsError};

/// The longest index that is read: those of the largest models have a few megabytes.
const LONGEST: u64 = 100_000_000;

/// The part of an index that says in which file each tensor is.
#[derive(Deserialize)]
struct Index {
    weight_map: Unique<String>,
}

/// Returns the names of the shards that an index lists; all lie in its directory.
///
/// # Errors
///
/// Returns an error if the index cannot be read, is not one, or names a file elsewhere.
pub fn shards(index: impl AsRef<Path>) -> Result<BTreeSet<String>, WeightsError> {
    let source = Source::open(index.as_ref())?;
    Ok(read(&source)?.1)
}

/// Returns the file of each tensor, and all files.
fn read(source: &Source) -> Result<(BTreeMap<String, String>, BTreeSet<String>), WeightsError> {
    let json = source.bytes_at(0, source.len(), LONGEST)?;
    let Index { weight_map: Unique(map) } = serde_json::from_slice(&json)
        .map_err(|error| source.fault(Fault::Json(error.to_string())))?;
    let shards: BTreeSet<String> = map.values().cloned().collect();
    match shards.iter().find(|shard| !beside(shard)) {
        Some(shard) => Err(source.fault(Fault::Shard(shard.clone()))),
        None => Ok((map, shards)),
    }
}

/// Opens all shards of the index called `name`. Index and shards must have the same tensors, each once.
pub(crate) fn open(directory: &Path, name: &str) -> Result<Tensors, WeightsError> {
    let path = directory.join(name);
    let source = Source::open(&path)?;
    let (map, shards) = read(&source)?;
    let mut views = BTreeMap::new();
    let mut metadata = BTreeMap::new();
    for shard in &shards {
        let tensors = Tensors::open(directory.join(shard))?;
        metadata.extend(tensors.metadata().clone());
        for (tensor, view) in tensors.iter() {
            match map.get(tensor) {
                Some(listed) if listed == shard => {}
                // The other shard has it, or will be found not to.
                Some(listed) => {
                    let (first, second) = (directory.join(listed), directory.join(shard));
                    return Err(WeightsError::Duplicate {
                        tensor: tensor.to_owned(),
                        first,
                        second,
                    });
                }
                None => {
                    let (tensor, shard) = (tensor.to_owned(), shard.clone());
                    return Err(source.fault(Fault::Unlisted { tensor, shard }));
                }
            }
            views.insert(tensor.to_owned(), view.clone());
        }
    }
    if let Some((tensor, shard)) = map.iter().find(|(tensor, _)| !views.contains_key(*tensor)) {
        let (tensor, shard) = (tensor.clone(), shard.clone());
        return Err(source.fault(Fault::Absent { tensor, shard }));
    }
    Ok(Tensors::new(path, views, metadata))
}

/// Whether this is the name of a file in the same directory.
fn beside(shard: &str) -> bool {
    let mut components = Path::new(shard).components();
    let plain =
        matches!((components.next(), components.next()), (Some(Component::Normal(_)), None));
    plain && !shard.contains(['/', '\\', ':', '\0'])
}
