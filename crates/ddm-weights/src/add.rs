//! Products of matrices, added to the parameters of a module.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};

use crate::WeightsError;
use crate::names::{Kind, Place, parameters};

/// The names and shapes of a module's float parameters, as PyTorch has them: the weights of linear
/// layers are `[out, in]`.
pub fn float_parameters<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let floats = parameters(module).into_iter().filter(|parameter| parameter.kind == Kind::Float);
    floats.map(|parameter| (parameter.key, parameter.shape)).collect()
}

/// Adds products of two matrices to float parameters of a module: W + L R.
///
/// `factors` gets the name of each, as [`float_parameters`] has it, and its device, and returns L and R,
/// whose product has PyTorch's layout, `[out, all the rest]`. The sum is computed in f32, or in f64 if the
/// parameter is in f64, and then rounded to the parameter's type. Parameters to which nothing is added
/// stay shared with clones of the module.
///
/// ```
/// use burn::{nn::LinearConfig, tensor::{Device, Tensor}};
/// use ddm_weights::{WeightsError, add_products};
/// let linear = LinearConfig::new(2, 3).init(&Device::flex());
/// let changed = add_products(linear.clone(), |name, device| {
///     let factors = (Tensor::ones([3, 1], device), Tensor::ones([1, 2], device));
///     Ok::<_, WeightsError>((name == "weight").then_some(factors))
/// })?;
/// let difference = changed.weight.val() - linear.weight.val() - 1.0;
/// assert!(difference.abs().max().into_scalar::<f32>() < 1e-6);
/// # Ok::<(), WeightsError>(())
/// ```
///
/// # Errors
///
/// Returns the first error of `factors`; [`WeightsError::View`] if they cannot be multiplied, or their
/// product has other rows or columns than its parameter; and [`WeightsError::Sum`] if a sum is NaN or
/// infinite. The module is then dropped, never partly changed.
pub fn add_products<M: Module, E: From<WeightsError>>(
    module: M,
    factors: impl FnMut(&str, &Device) -> Result<Option<(Tensor<2>, Tensor<2>)>, E>,
) -> Result<M, E> {
    let mut adder = Adder { factors, place: Place::default(), failed: None };
    let module = module.map(&mut adder);
    adder.failed.map_or(Ok(module), Err)
}

struct Adder<F, E> {
    factors: F,
    place: Place,
    /// The first error, after which nothing more is changed.
    failed: Option<E>,
}

impl<E, F> Adder<F, E>
where
    E: From<WeightsError>,
    F: FnMut(&str, &Device) -> Result<Option<(Tensor<2>, Tensor<2>)>, E>,
{
    /// The sum, or nothing if there is nothing to add.
    fn sum<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Result<Option<Tensor<D>>, E> {
        let key = self.place.key();
        let Some((left, right)) = (self.factors)(&key, &param.lazy_device())? else {
            return Ok(None);
        };
        let base = param.transform_for_save().val();
        let (shape, dtype) = (base.dims(), base.dtype());
        let transposed = self.place.is_transposed(D);
        let rows = if transposed { shape[1] } else { shape.first().copied().unwrap_or(1) };
        let columns = shape.iter().product::<usize>() / rows.max(1);
        let ([out, inner], [same, rest]) = (left.dims(), right.dims());
        if [out, rest] != [rows, columns] || inner != same {
            let reason =
                format!("times {:?} cannot be added to {rows} × {columns}, {key}", right.dims());
            return Err(WeightsError::View { shape: vec![out, inner], reason }.into());
        }
        // Rounded once, at the end.
        let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        let (left, right) = (left.cast(wide), right.cast(wide));
        // A transposed product would keep its strides, and the parameter would get them.
        let product = if transposed {
            right.transpose().matmul(left.transpose())
        } else {
            left.matmul(right)
        };
        let sum = base.detach().cast(wide) + product.reshape(shape);
        let sum = sum.cast(dtype);
        if !finite(&sum) {
            return Err(WeightsError::Sum { tensor: key, dtype }.into());
        }
        // A leaf again, for a module that trains.
        Ok(Some(sum.detach()))
    }
}

/// Whether all numbers are finite.
fn finite<const D: usize>(tensor: &Tensor<D>) -> bool {
    // One pass that finds any NaN or infinity; only if it finds one, or is too large itself, another.
    let total: f64 = tensor.clone().sum().into_scalar();
    total.is_finite() || tensor.clone().is_finite().all().into_scalar::<bool>()
}

impl<E, F> ModuleMapper for Adder<F, E>
where
    E: From<WeightsError>,
    F: FnMut(&str, &Device) -> Result<Option<(Tensor<2>, Tensor<2>)>, E>,
{
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.place.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.failed.is_some() {
            return param;
        }
        match self.sum(&param) {
            Ok(Some(sum)) => {
                let id = param.id;
                param.transform_for_load(sum, id)
            }
            Ok(None) => param,
            Err(error) => {
                self.failed = Some(error);
                param
            }
        }
    }
}
