//! Tensors under new names, each of which is given once.

use std::collections::BTreeMap;

use ddm_weights::{TensorView, Tensors, WeightsError};

/// Tensors under new names.
pub(super) struct Renamed {
    tensors: Tensors,
    /// The old name of each.
    old: BTreeMap<String, String>,
}

impl Renamed {
    /// Begins without tensors, as of the same file.
    pub(super) fn of(file: &Tensors) -> Result<Self, WeightsError> {
        Ok(Self { tensors: file.rename(|_| None)?, old: BTreeMap::new() })
    }

    /// Adds a tensor, or a part of one, that was called `old`.
    pub(super) fn add(
        &mut self,
        old: &str,
        name: String,
        view: TensorView,
    ) -> Result<(), WeightsError> {
        if let Some(first) = self.old.insert(name.clone(), old.to_owned()) {
            return Err(WeightsError::Renamed { first, second: old.to_owned(), name });
        }
        self.tensors.insert(name, view);
        Ok(())
    }

    /// Adds the parts of a tensor, `block.part.kind` each.
    pub(super) fn add_parts(
        &mut self,
        old: &str,
        (block, parts, kind): (&str, &[&str], &str),
        views: impl IntoIterator<Item = TensorView>,
    ) -> Result<(), WeightsError> {
        for (part, view) in parts.iter().zip(views) {
            self.add(old, format!("{block}.{part}.{kind}"), view)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Tensors {
        self.tensors
    }
}

/// Returns the new name of a layer, if the table has it.
pub(super) fn new_name(
    table: &[(&'static str, &'static str)],
    layer: &str,
) -> Option<&'static str> {
    table.iter().find(|(old, _)| *old == layer).map(|(_, new)| *new)
}

/// Returns the layer and the kind of `layer.weight`.
pub(super) fn layer_and_kind(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((name, ""))
}
