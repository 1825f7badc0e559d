//! The weights of a network by all names that a LoRA may have for them.

use std::collections::HashMap;

use burn::module::Module;
use ddm_weights::float_parameters;

use super::ldm::Blocks;
use crate::transformer::flux_layers;

/// The weights of a network, and their names.
///
/// A name with `_` in place of its dots cannot be taken apart again: `to_q` has one of its own. So each
/// weight's path is put into that form, and names are looked up, not read.
#[derive(Debug)]
pub(super) struct Places {
    weights: Vec<(String, Vec<usize>)>,
    names: HashMap<String, Place>,
}

#[derive(Debug, PartialEq)]
enum Place {
    /// The weights whose rows, one after the other, are those of the layer; most often it is one.
    Of(Vec<usize>),
    /// Several layers have this name.
    Ambiguous,
}

impl Places {
    pub(super) fn of<M: Module>(module: &M) -> Self {
        let mut weights = float_parameters(module);
        weights.retain(|(key, _)| key.ends_with(".weight"));
        let mut places = Self { weights: Vec::new(), names: HashMap::new() };
        let paths: Vec<_> =
            weights.iter().filter_map(|(key, _)| key.strip_suffix(".weight")).collect();
        let blocks = Blocks::of(paths.iter().copied());
        let original = |path: &str| blocks.original(path);
        for (index, path) in paths.iter().enumerate() {
            places.insert(path, &[index]);
            let others = aliases(path);
            let all: Vec<_> = others.into_iter().chain(original(path)).collect();
            for name in all {
                places.insert(&name, &[index]);
            }
        }
        let known: HashMap<_, _> =
            paths.iter().enumerate().map(|(index, path)| (*path, index)).collect();
        for (name, parts) in flux_layers(&paths) {
            let indices: Option<Vec<_>> =
                parts.iter().map(|part| known.get(part.as_str()).copied()).collect();
            if let Some(indices) = indices {
                places.insert(&name, &indices);
            }
        }
        places.weights = weights;
        places
    }

    fn insert(&mut self, name: &str, weights: &[usize]) {
        for name in [name.to_owned(), name.replace('.', "_")] {
            let place = Place::Of(weights.to_vec());
            match self.names.get_mut(&name) {
                None => drop(self.names.insert(name, place)),
                Some(other) if *other != place => *other = Place::Ambiguous,
                Some(_) => {}
            }
        }
    }

    /// The weights of a layer, with their shapes: one, or several whose rows lie one after the other.
    pub(super) fn find(&self, path: &str) -> Option<Vec<&(String, Vec<usize>)>> {
        match self.names.get(path)? {
            Place::Of(weights) => Some(weights.iter().map(|index| &self.weights[*index]).collect()),
            Place::Ambiguous => None,
        }
    }
}

/// Other names of a layer: of CLIP's in files of other versions, and of attentions in old files.
fn aliases(path: &str) -> Vec<String> {
    let mut names = vec![path.to_owned()];
    for (new, old) in [
        ("self_attn.q_proj", "self_attn.to_q"),
        ("self_attn.k_proj", "self_attn.to_k"),
        ("self_attn.v_proj", "self_attn.to_v"),
        ("self_attn.out_proj", "self_attn.to_out"),
        ("to_out.0", "to_out"),
    ] {
        names.extend(path.strip_suffix(new).map(|start| format!("{start}{old}")));
    }
    let short = names.iter().filter_map(|name| name.strip_prefix("text_model.").map(str::to_owned));
    let short: Vec<_> = short.collect();
    names.extend(short);
    names
}
