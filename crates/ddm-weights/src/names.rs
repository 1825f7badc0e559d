//! What PyTorch calls the parameters of a module, and how it lays them out.

use burn::module::{Module, ModuleVisitor, Param};
use burn::store::{ModuleAdapter, PyTorchToBurnAdapter};
use burn::tensor::{Bool, Int, Tensor};

/// A place in a module, while it is walked through: the path of a parameter, as PyTorch has it.
///
/// A visitor or mapper of burn tells it each module that it enters and leaves.
///
/// ```
/// use burn::module::{Module, ModuleVisitor, Param};
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use ddm_weights::Place;
/// #[derive(Default)]
/// struct Transposed(Place, Vec<String>);
/// impl ModuleVisitor for Transposed {
///     fn enter_module(&mut self, name: &str, container: &str) {
///         self.0.enter(name, container);
///     }
///     fn exit_module(&mut self, _: &str, container: &str) {
///         self.0.exit(container);
///     }
///     fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
///         if self.0.is_transposed(D) {
///             self.1.push(self.0.key());
///         }
///     }
/// }
/// let mut visitor = Transposed::default();
/// LinearConfig::new(2, 3).init(&Device::flex()).visit(&mut visitor);
/// assert_eq!(visitor.1, ["weight"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Place {
    path: Vec<String>,
    /// The types of the modules around it, "Struct:Linear", and of lists of such, "Vec".
    containers: Vec<String>,
}

impl Place {
    /// Goes into a part of a module; `name` and `container` are those of burn's visitors and mappers.
    pub fn enter(&mut self, name: &str, container: &str) {
        self.containers.push(container.to_owned());
        // PyTorch has no enums: which variant there is, is not in its names.
        if !container.starts_with("Enum:") {
            self.path.push(name.to_owned());
        }
    }

    /// Leaves it again.
    pub fn exit(&mut self, container: &str) {
        self.containers.pop();
        if !container.starts_with("Enum:") {
            self.path.pop();
        }
    }

    /// The name of the parameter at this place: its path, with the weight and bias of norms called so.
    pub fn key(&self) -> String {
        let mut path = self.path.clone();
        if let (Some(last), Some(module)) = (path.last_mut(), self.module())
            && let Some(name) = PyTorchToBurnAdapter.get_alternative_param_name(last, module)
        {
            *last = name;
        }
        path.join(".")
    }

    /// Whether PyTorch has this parameter transposed, which is so for weights of linear layers.
    pub fn is_transposed(&self, rank: usize) -> bool {
        let name = self.path.last().map(String::as_str);
        rank == 2 && name == Some("weight") && self.module() == Some("Struct:Linear")
    }

    /// The type of the module that has this parameter, as burn's visitors say it: `Struct:Linear`.
    pub fn module(&self) -> Option<&str> {
        let mut modules = self.containers.iter().rev();
        let module = modules.find(|name| name.starts_with("Struct:") || name.starts_with("Enum:"));
        module.map(String::as_str)
    }
}

/// The kind of a parameter's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Int,
    Bool,
}

/// A parameter as PyTorch has it.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) key: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: Kind,
}

/// The parameters of a module. Those that are not initialized yet stay so.
pub(crate) fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    let mut visitor = Parameters::default();
    module.visit(&mut visitor);
    visitor.found
}

#[derive(Default)]
struct Parameters {
    place: Place,
    found: Vec<Parameter>,
}

impl Parameters {
    fn add(&mut self, mut shape: Vec<usize>, kind: Kind) {
        if self.place.is_transposed(shape.len()) {
            shape.reverse();
        }
        self.found.push(Parameter { key: self.place.key(), shape, kind });
    }
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.place.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.lazy_shape().to_vec(), Kind::Float);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param.lazy_shape().to_vec(), Kind::Int);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(param.lazy_shape().to_vec(), Kind::Bool);
    }
}
