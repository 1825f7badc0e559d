//! The float parameters of a module by path.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::container::TensorContainer;
use burn::tensor::{DType, Tensor};

use crate::TrainError;

/// The float parameters of a module by path, such as "down.0.conv.weight", in f32, or in f64 if
/// they are f64.
#[derive(Default)]
pub(crate) struct Weights {
    path: Vec<String>,
    shapes: BTreeMap<String, Vec<usize>>,
    tensors: TensorContainer<String>,
}

impl Weights {
    /// Reads the parameters of a module, without autodiff.
    pub(crate) fn of<M: Module>(module: &M) -> Self {
        let mut weights = Self::default();
        module.visit(&mut weights);
        weights
    }

    /// Returns the shape of a parameter.
    pub(crate) fn shape(&self, path: &str) -> Option<&[usize]> {
        self.shapes.get(path).map(Vec::as_slice)
    }

    /// Takes a parameter, of the rank of its [shape](Self::shape).
    pub(crate) fn take<const D: usize>(&mut self, path: &str) -> Option<Tensor<D>> {
        self.tensors.remove(&path.to_owned())
    }

    /// Checks that `module` has the same parameters as this average.
    pub(crate) fn require_same(&self, module: &Self) -> Result<(), TrainError> {
        let shape = |of: &Self, path: &String| match of.shapes.get(path) {
            Some(shape) => format!("of shape {shape:?}"),
            None => "missing".to_owned(),
        };
        for path in self.shapes.keys().chain(module.shapes.keys()) {
            if self.shapes.get(path) != module.shapes.get(path) {
                let (found, expected) = (shape(module, path), shape(self, path));
                return Err(TrainError::Parameter { path: path.clone(), found, expected });
            }
        }
        Ok(())
    }
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (path, value) = (self.path.join("."), param.val());
        let value = if value.dtype() == DType::F64 { value } else { value.cast(DType::F32) };
        self.shapes.insert(path.clone(), value.dims().to_vec());
        self.tensors.register(path, value);
    }
}

/// A mapper that replaces a module's float parameters by `origin + Σ rateᵢ (θᵢ − origin)`.
///
/// If all θ equal the origin, the sum equals it bit for bit. A tensor of the origin without other
/// owners is changed in place.
pub(crate) struct Combine {
    pub(crate) origin: Weights,
    pub(crate) others: Vec<(f64, Weights)>,
    pub(crate) path: Vec<String>,
}

impl ModuleMapper for Combine {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let origin: Option<Tensor<D>> = self.origin.tensors.remove(&path);
        let Some(origin) = origin else { return param };
        let (device, dtype) = (origin.device(), origin.dtype());
        let moves = self.others.iter_mut().filter_map(|(rate, weights)| {
            let other: Tensor<D> = weights.tensors.remove(&path)?;
            Some((other.to_device(&device).cast(dtype) - origin.clone()) * *rate)
        });
        let moved = moves.reduce(|sum, next| sum + next);
        param.map(|_| match moved {
            Some(moved) => origin + moved,
            None => origin,
        })
    }
}
