//! Tensors by name from a pickle of dictionaries.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::pickle::{self, Object, Pickle, Tensor, Value};
use crate::safetensors::shape;
use crate::source::Source;
use crate::storage::Storage;
use crate::{Fault, Stored, TensorView, Tensors, WeightsError};

/// The longest name of a tensor, with those of the dictionaries around it.
const NAME: usize = 1 << 16;

/// Where the numbers of a storage lie: at which byte, and how many bytes.
pub(super) type Places = HashMap<String, (u64, u64)>;

pub(super) fn tensors(
    source: &Arc<Source>,
    pickle: &Pickle,
    places: &Places,
) -> Result<Tensors, WeightsError> {
    let fault = |fault| source.fault(fault);
    let Some(root) = dictionary(pickle, pickle.top) else {
        let reason = "its object is no dictionary".to_owned();
        return Err(fault(Fault::Pickle { at: 0, reason }));
    };
    let root = nested(pickle, root, "state_dict").unwrap_or(root);
    let mut storages = Storages { source, pickle, places, known: HashMap::new() };
    let mut views = BTreeMap::new();
    // Each dictionary is read once, wherever else it is named, so that circles end.
    let mut seen = HashSet::from([root]);
    let mut dictionaries = vec![(root, String::new())];
    while let Some((place, prefix)) = dictionaries.pop() {
        for (key, value) in entries(pickle, place) {
            let (Some(key), Value::At(place)) = (text(pickle, *key), *value) else { continue };
            let name = format!("{prefix}{key}");
            if name.len() > NAME {
                let reason = format!("a name of {} bytes", name.len());
                return Err(fault(Fault::Pickle { at: 0, reason }));
            }
            match &pickle.objects[place] {
                Object::Dict(_) if seen.insert(place) => dictionaries.push((place, name + ".")),
                Object::Tensor(tensor) => {
                    let view = storages.view(&name, tensor)?;
                    if views.insert(name.clone(), view).is_some() {
                        return Err(fault(Fault::Twice(name)));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(Tensors::new(source.path().to_owned(), views, BTreeMap::new()))
}

fn dictionary(pickle: &Pickle, value: Value) -> Option<usize> {
    let Value::At(place) = value else { return None };
    matches!(pickle.objects[place], Object::Dict(_)).then_some(place)
}

fn entries(pickle: &Pickle, place: usize) -> &[(Value, Value)] {
    match &pickle.objects[place] {
        Object::Dict(entries) => entries,
        _ => &[],
    }
}

fn text(pickle: &Pickle, value: Value) -> Option<&str> {
    let Value::At(place) = value else { return None };
    match &pickle.objects[place] {
        Object::Text(text) => Some(text),
        _ => None,
    }
}

/// The dictionary of this name in another one.
fn nested(pickle: &Pickle, place: usize, name: &str) -> Option<usize> {
    let mut entries = entries(pickle, place).iter();
    let (_, value) = entries.find(|(key, _)| text(pickle, *key) == Some(name))?;
    dictionary(pickle, *value)
}

struct Storages<'a> {
    source: &'a Arc<Source>,
    pickle: &'a Pickle,
    places: &'a Places,
    /// By place of the object, and type.
    known: HashMap<(usize, Stored), Arc<Storage>>,
}

impl Storages<'_> {
    fn view(&mut self, name: &str, tensor: &Tensor) -> Result<TensorView, WeightsError> {
        let fault = |fault| self.source.fault(fault);
        let impossible = || {
            let (tensor, shape) = (name.to_owned(), tensor.shape.clone());
            fault(Fault::Shape { tensor, shape })
        };
        let Object::Storage(storage) = &self.pickle.objects[tensor.storage] else {
            return Err(impossible());
        };
        let pickle::Storage { key, stored, elements } = &**storage;
        // A storage of bytes has no type, and its elements are bytes; a tensor of it has a type.
        let (stored, bytes) = match (stored, tensor.stored) {
            (Some(stored), _) => (*stored, elements.saturating_mul(stored.block().0)),
            (None, stored) => (stored.unwrap_or(Stored::U8), *elements),
        };
        let storage = match self.known.get(&(tensor.storage, stored)) {
            Some(storage) => storage.clone(),
            None => {
                let storage = self.storage(name, key, stored, bytes)?;
                self.known.entry((tensor.storage, stored)).or_insert(storage).clone()
            }
        };
        let (shape, _) = shape(&tensor.shape).ok_or_else(impossible)?;
        let strides = tensor.strides.iter().map(|stride| usize::try_from(*stride));
        let strides = strides.collect::<Result<_, _>>().map_err(|_| impossible())?;
        TensorView::strided(&storage, tensor.offset, shape, strides).ok_or_else(impossible)
    }

    fn storage(
        &self,
        name: &str,
        key: &str,
        stored: Stored,
        bytes: u64,
    ) -> Result<Arc<Storage>, WeightsError> {
        let Some((offset, length)) = self.places.get(key).copied() else {
            let reason = format!("the numbers of {name}, called {key}, are not in it");
            return Err(self.source.fault(Fault::Archive(reason)));
        };
        let size = stored.block().0;
        if bytes > length {
            let (tensor, shape) = (name.to_owned(), vec![bytes / size]);
            let stored = stored.to_string();
            return Err(self.source.fault(Fault::Size { tensor, shape, stored, bytes: length }));
        }
        let (source, elements) = (self.source.clone(), bytes / size);
        Ok(Arc::new(Storage::new(source, offset, stored, elements)))
    }
}
