//! The weights with the LoRA.

use std::collections::HashMap;

use burn::module::{LoraAdapter, ModuleMapper, Param};
use burn::tensor::Tensor;
use ddm_weights::Place;

use super::target::Target;

/// A mapper that adds the products of the factors to the weights. What it puts into the parameters are no
/// leaves: their gradients go on to the factors.
pub(super) struct Merge<'a> {
    place: Place,
    adapters: HashMap<&'a str, &'a LoraAdapter>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(targets: &'a [Target], adapters: &'a [LoraAdapter]) -> Self {
        let paths = targets.iter().map(|target| target.path.as_str());
        Self { place: Place::default(), adapters: paths.zip(adapters).collect() }
    }
}

impl ModuleMapper for Merge<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.place.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let key = self.place.key();
        let adapter = key.strip_suffix(".weight").and_then(|path| self.adapters.get(path));
        let Some(adapter) = adapter else { return param };
        param.map(|weight| {
            let (shape, dtype) = (weight.dims(), weight.dtype());
            let product = adapter.delta();
            let sum = weight.cast(product.dtype()) + product.reshape(shape);
            sum.cast(dtype)
        })
    }
}
