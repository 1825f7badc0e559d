//! The weights of a network by all names that a LoRA may have for them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use burn::module::Module;
use ddm_weights::float_parameters;

use super::ldm::Blocks;
use crate::single_file::original_layers;

/// The weights of a network, and their names.
///
/// A name with `_` in place of its dots cannot be taken apart again: `to_q` has one of its own. So each
/// weight's path is put into that form, and names are looked up, not read.
#[derive(Debug)]
pub(super) struct Places {
    weights: Vec<(String, Vec<usize>)>,
    /// By the path here, which goes before all others.
    paths: Names,
    others: Names,
}

#[derive(Debug, Default)]
struct Names(HashMap<String, Place>);

#[derive(Debug, PartialEq)]
enum Place {
    /// The weights whose rows, one after the other, are those of the layer; most often it is one.
    Of(Vec<usize>),
    /// Several layers have this name.
    Ambiguous,
}

impl Names {
    /// Inserts a name, with dots and with `_` in their place.
    fn insert(&mut self, name: &str, weights: &[usize]) {
        let flat = name.replace('.', "_");
        for name in [name.to_owned(), flat] {
            let place = Place::Of(weights.to_vec());
            match self.0.entry(name) {
                Entry::Vacant(entry) => drop(entry.insert(place)),
                Entry::Occupied(mut entry) if *entry.get() != place => {
                    entry.insert(Place::Ambiguous);
                }
                Entry::Occupied(_) => {}
            }
        }
    }
}

impl Places {
    pub(super) fn of<M: Module>(module: &M) -> Self {
        let mut weights = float_parameters(module);
        weights.retain(|(key, _)| key.ends_with(".weight"));
        let paths: Vec<_> =
            weights.iter().filter_map(|(key, _)| key.strip_suffix(".weight")).collect();
        let blocks = Blocks::of(paths.iter().copied());
        let (mut own, mut others) = (Names::default(), Names::default());
        for (index, path) in paths.iter().enumerate() {
            own.insert(path, &[index]);
            for name in aliases(path).into_iter().chain(blocks.original(path)) {
                others.insert(&name, &[index]);
            }
        }
        let index = |path: &String| paths.iter().position(|other| other == path);
        for (name, parts) in original_layers(&paths) {
            // A layer that this network lacks is no place.
            let indices: Option<Vec<_>> = parts.iter().map(index).collect();
            if let Some(indices) = indices {
                others.insert(&name, &indices);
            }
        }
        Self { weights, paths: own, others }
    }

    /// The weights of a layer, with their shapes: one, or several whose rows lie one after the other.
    pub(super) fn find(&self, path: &str) -> Option<Vec<&(String, Vec<usize>)>> {
        match self.paths.0.get(path).or_else(|| self.others.0.get(path))? {
            Place::Of(weights) => Some(weights.iter().map(|index| &self.weights[*index]).collect()),
            Place::Ambiguous => None,
        }
    }
}

/// Other names of a layer: of attentions in old files, and of CLIP's without its prefix.
fn aliases(path: &str) -> Vec<String> {
    let renamed = [
        ("self_attn.q_proj", "self_attn.to_q"),
        ("self_attn.k_proj", "self_attn.to_k"),
        ("self_attn.v_proj", "self_attn.to_v"),
        ("self_attn.out_proj", "self_attn.to_out"),
        ("to_out.0", "to_out"),
    ];
    let old = |(new, old)| path.strip_suffix(new).map(|start: &str| format!("{start}{old}"));
    let old: Vec<_> = renamed.into_iter().filter_map(old).collect();
    let all = old.iter().map(String::as_str).chain([path]);
    let short = all.filter_map(|name| name.strip_prefix("text_model.").map(str::to_owned));
    let short: Vec<_> = short.collect();
    [old, short].concat()
}
