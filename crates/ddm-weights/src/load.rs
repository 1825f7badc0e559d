//! Tensors into a module.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, DType, Element, Int, Shape, Tensor, TensorData};
use half::{bf16, f16};

use crate::misfit::{Difference, Misfit};
use crate::names::{Kind, Parameter, Place, parameters};
use crate::{TensorView, Tensors, WeightsError};

/// How tensors are put into a module.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct LoadOptions {
    float: Option<DType>,
    ignored: Vec<String>,
    finite: bool,
}

impl LoadOptions {
    /// Every tensor must have its place; floats stay of the type that they are, if that is one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Casts all floats to a type.
    pub fn with_float(mut self, dtype: DType) -> Self {
        self.float = Some(dtype);
        self
    }

    /// Leaves out tensors of the file that the module lacks, by name. `*` stands for any letters:
    /// `*.position_ids`, `*num_batches_tracked`.
    pub fn ignoring<I: Into<String>>(mut self, patterns: impl IntoIterator<Item = I>) -> Self {
        self.ignored.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Refuses weights that are NaN or infinite.
    pub fn finite(mut self) -> Self {
        self.finite = true;
        self
    }
}

/// Loads tensors in PyTorch's names and layouts into a module of burn.
///
/// A parameter's path is its name, and norms have `weight` and `bias`; the weights of linear layers are
/// transposed. The tensors must be exactly those of the module. That is checked before any is read, then
/// each is read into its place, so that the module and at most one more tensor are in memory.
///
/// Without [`with_float`](LoadOptions::with_float), floats of one type stay of that type. Floats of
/// several types become f32, since a network computes in one type; and so do those of 8 bits and less.
/// Integers keep the type that they have in the file.
///
/// # Errors
///
/// Returns [`WeightsError::Misfit`] with all tensors that are missing, unknown or of another shape or
/// kind, and an error if a tensor cannot be read. The module is then dropped, never partly loaded.
///
/// ```
/// use burn::{nn::LinearConfig, tensor::Device};
/// use ddm_weights::{LoadOptions, Tensors, load, save};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("linear.safetensors");
/// let linear = LinearConfig::new(2, 3).init(&Device::flex());
/// save(&linear, &path)?;
/// let tensors = Tensors::open(&path)?;
/// assert_eq!(tensors.get("weight")?.shape(), [3, 2]);
/// let linear = load(LinearConfig::new(2, 3).init(&Device::flex()), &tensors, &LoadOptions::new())?;
/// # Ok(())
/// # }
/// ```
pub fn load<M: Module>(
    module: M,
    tensors: &Tensors,
    options: &LoadOptions,
) -> Result<M, WeightsError> {
    let parameters = parameters(&module);
    let misfit = compare(&parameters, tensors, &options.ignored);
    if !misfit.is_empty() {
        return Err(WeightsError::Misfit { path: tensors.origin().to_owned(), misfit });
    }
    let float = options.float.unwrap_or_else(|| common(&parameters, tensors));
    for parameter in &parameters {
        let view = tensors.get(&parameter.key)?;
        let wanted = if parameter.kind == Kind::Float { float } else { view.dtype() };
        view.check(wanted)?;
    }
    let place = Place::default();
    let mut loader = Loader { tensors, float, finite: options.finite, place, failed: None };
    let module = module.map(&mut loader);
    loader.failed.map_or(Ok(module), Err)
}

/// Finds all differences between the parameters of a module and tensors.
fn compare(parameters: &[Parameter], tensors: &Tensors, ignored: &[String]) -> Misfit {
    let mut misfit = Misfit::default();
    let mut used = std::collections::HashSet::new();
    for Parameter { key, shape, kind } in parameters {
        used.insert(key.as_str());
        let Ok(view) = tensors.get(key) else {
            misfit.missing.push(key.clone());
            continue;
        };
        let (fits, expected) = match kind {
            Kind::Float => (view.dtype().is_float(), "floats"),
            Kind::Int => (view.stored().is_int(), "integers"),
            Kind::Bool => (view.dtype().is_bool(), "truth values"),
        };
        let (found, expected) = if view.shape() != shape {
            (format!("{:?}", view.shape()), format!("{shape:?}"))
        } else if !fits {
            (view.stored().to_string(), expected.to_owned())
        } else {
            continue;
        };
        misfit.different.push(Difference { tensor: key.clone(), found, expected });
    }
    let unused = tensors.names().filter(|name| !used.contains(name));
    let unused = unused.filter(|name| !ignored.iter().any(|pattern| matches(pattern, name)));
    misfit.unused.extend(unused.map(str::to_owned));
    misfit
}

/// Whether a pattern, in which `*` is any text, is that of a name.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The first place that fits is as good as any later one.
    for part in middle.split('*') {
        let Some((_, later)) = name.split_once(part) else { return false };
        name = later;
    }
    name.ends_with(end)
}

/// The type of all floats, or f32 if there are several.
fn common(parameters: &[Parameter], tensors: &Tensors) -> DType {
    let floats = parameters.iter().filter(|parameter| parameter.kind == Kind::Float);
    let mut types = floats.flat_map(|parameter| tensors.get(&parameter.key)).map(TensorView::dtype);
    let first = types.next().unwrap_or(DType::F32);
    if types.all(|dtype| dtype == first) { first } else { DType::F32 }
}

struct Loader<'a> {
    tensors: &'a Tensors,
    float: DType,
    finite: bool,
    place: Place,
    /// The first error, after which nothing more is read.
    failed: Option<WeightsError>,
}

impl Loader<'_> {
    fn read(&mut self, shape: &Shape, kind: Kind) -> Option<TensorData> {
        if self.failed.is_some() {
            return None;
        }
        match self.try_read(shape, kind) {
            Ok(data) => Some(data),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    fn try_read(&self, shape: &Shape, kind: Kind) -> Result<TensorData, WeightsError> {
        let key = self.place.key();
        let view = self.tensors.get(&key)?;
        let wanted = if kind == Kind::Float { self.float } else { view.dtype() };
        let data = if self.place.is_transposed(shape.len()) {
            view.transposed(0, 1)?.read_as(wanted)?
        } else {
            view.read_as(wanted)?
        };
        if self.finite
            && kind == Kind::Float
            && let Some((index, value)) = not_finite(&data)
        {
            let path = self.tensors.origin().to_owned();
            return Err(WeightsError::NotFinite { path, tensor: key, index, value });
        }
        Ok(data)
    }
}

/// The first element that is NaN or infinite.
fn not_finite(data: &TensorData) -> Option<(usize, f64)> {
    // Most weights are finite, and then one pass is all that is done.
    fn all<E: Element>(data: &TensorData, is_finite: impl Fn(&E) -> bool) -> bool {
        data.as_slice::<E>().is_ok_and(|values| values.iter().all(is_finite))
    }
    let finite = match data.dtype() {
        DType::F32 => all(data, |value: &f32| value.is_finite()),
        DType::F16 => all(data, |value: &f16| value.is_finite()),
        DType::BF16 => all(data, |value: &bf16| value.is_finite()),
        _ => false,
    };
    if finite {
        return None;
    }
    data.iter::<f64>().enumerate().find(|(_, value)| !value.is_finite())
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.place.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, device, shape) = (param.id, param.lazy_device(), param.lazy_shape());
        let Some(data) = self.read(&shape, Kind::Float) else { return param };
        let options = (&device, data.dtype());
        param.transform_for_load(Tensor::from_data(data, options), id)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let (id, device, shape) = (param.id, param.lazy_device(), param.lazy_shape());
        let Some(data) = self.read(&shape, Kind::Int) else { return param };
        let options = (&device, data.dtype());
        param.transform_for_load(Tensor::from_data(data, options), id)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let (id, device, shape) = (param.id, param.lazy_device(), param.lazy_shape());
        let Some(data) = self.read(&shape, Kind::Bool) else { return param };
        let options = (&device, data.dtype());
        param.transform_for_load(Tensor::from_data(data, options), id)
    }
}
