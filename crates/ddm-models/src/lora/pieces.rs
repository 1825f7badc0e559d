//! The tensors of a file, put together to layers.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::DType;
use ddm_weights::{TensorView, Tensors};

use super::kind::kind;
use super::layer::Named;
use super::name::{Name, Piece};
use super::part::PEFT;
use super::settings::Settings;
use super::{LoraError, LoraLayer, Part};

/// What was found of a layer.
#[derive(Default)]
struct Pieces {
    /// The layer as the file calls it.
    name: String,
    down: Option<Named>,
    up: Option<Named>,
    mid: Option<Named>,
    alpha: Option<Named>,
}

/// Puts all tensors of a file together to layers.
pub(super) fn layers(tensors: &Tensors) -> Result<Vec<(Part, LoraLayer)>, LoraError> {
    let file = tensors.origin();
    let other = tensors.names().find_map(|name| Some((name, kind(name)?)));
    if let Some((tensor, kind)) = other {
        let (path, tensor) = (file.to_owned(), tensor.to_owned());
        return Err(LoraError::Unsupported { path, kind, tensor });
    }
    let found = collect(tensors)?;
    let incomplete: Vec<_> = found.values().filter(|pieces| !pieces.is_complete()).collect();
    if !incomplete.is_empty() {
        let layers = incomplete.into_iter().map(|pieces| pieces.name.clone()).collect();
        return Err(LoraError::Incomplete { path: file.to_owned(), layers });
    }
    let mut settings = BTreeMap::new();
    // Bytes in memory have nothing beside them.
    let peft = file.is_file() && tensors.names().any(|name| name.starts_with(PEFT));
    let mut layers = Vec::new();
    for ((part, path), pieces) in found {
        let settings = match settings.entry(part) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(if peft {
                Settings::beside(file)?
            } else {
                Settings::of(tensors, part)?
            }),
        };
        if let Some(layer) = pieces.into_layer(path, settings.as_ref(), file)? {
            layers.push((part, layer));
        }
    }
    Ok(layers)
}

fn collect(tensors: &Tensors) -> Result<BTreeMap<(Part, String), Pieces>, LoraError> {
    let path = || tensors.origin().to_owned();
    let mut found: BTreeMap<(Part, String), Pieces> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (tensor, view) in tensors.iter() {
        let Some(Name { part, path: layer, layer: name, piece }) = Name::parse(tensor) else {
            unknown.push(tensor.to_owned());
            continue;
        };
        let pieces = found.entry((part, layer)).or_default();
        pieces.name = name.to_owned();
        let place = match piece {
            Piece::Down => &mut pieces.down,
            Piece::Up => &mut pieces.up,
            Piece::Mid => &mut pieces.mid,
            Piece::Alpha => &mut pieces.alpha,
        };
        let named = Named { name: tensor.to_owned(), view: view.clone() };
        if let Some(first) = place.replace(named) {
            let (first, second) = (first.name, tensor.to_owned());
            return Err(LoraError::Twice { path: path(), first, second });
        }
    }
    if !found.values().any(|pieces| pieces.down.is_some() || pieces.up.is_some()) {
        let example = tensors.names().next().map(str::to_owned);
        return Err(LoraError::None { path: path(), tensors: tensors.len(), example });
    }
    if !unknown.is_empty() {
        return Err(LoraError::Unknown { path: path(), tensors: unknown });
    }
    Ok(found)
}

impl Pieces {
    fn is_complete(&self) -> bool {
        self.down.is_some() && self.up.is_some()
    }

    fn into_layer(
        self,
        path: String,
        settings: Option<&Settings>,
        file: &Path,
    ) -> Result<Option<LoraLayer>, LoraError> {
        let (Some(down), Some(up)) = (self.down, self.up) else { return Ok(None) };
        let (name, mid) = (self.name, self.mid);
        let mut layer = LoraLayer { path, name, down, up, mid, scale: 1.0 };
        layer.check(file)?;
        let rank = layer.rank() as f64;
        layer.scale = match (&self.alpha, settings) {
            (Some(alpha), _) => number(&alpha.view).map(|alpha| alpha / rank),
            (None, Some(settings)) => Ok(settings.scale(&layer.path, rank)),
            (None, None) => Ok(1.0),
        }
        .and_then(|scale| if scale.is_finite() { Ok(scale) } else { Err(scale.to_string()) })
        .map_err(|found| {
            let (path, layer) = (file.to_owned(), layer.name.clone());
            LoraError::Alpha { path, layer, found }
        })?;
        Ok(Some(layer))
    }
}

/// Reads a tensor of one number.
fn number(view: &TensorView) -> Result<f64, String> {
    if view.elements() != 1 {
        return Err(format!("of shape {:?}", view.shape()));
    }
    let data = view.read_as(DType::F32).map_err(|error| error.to_string())?;
    data.iter::<f64>().next().ok_or_else(|| "missing".to_owned())
}
