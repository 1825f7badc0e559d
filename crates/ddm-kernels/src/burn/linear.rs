//! Linear layers.

use std::sync::Arc;

use burn::backend::DispatchTensor;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::memory::Memory;
use super::operation::{BackwardPass, Operation, absent, apply, numbers, present, tensor, value};
use super::remembered::Remembered;
use crate::gemm::{Matrix, Panels, Plus, matmul, matmul_transposed};
use crate::sums;

/// The weights of a linear layer, packed once for many inputs.
#[derive(Clone, Debug)]
pub struct PackedLinear(Arc<Weights>);

#[derive(Debug)]
struct Weights {
    panels: Panels,
    remembered: Remembered,
}

impl PackedLinear {
    /// Packs weights `[in, out]`.
    ///
    /// # Panics
    ///
    /// Panics if they are not on flex.
    #[must_use]
    pub fn new(weight: Tensor<2>) -> Self {
        let [_, outputs] = weight.dims();
        let panels = Panels::pack(Matrix::new(numbers(&value(weight)), outputs));
        Self(Arc::new(Weights { panels, remembered: Remembered::default() }))
    }

    /// Returns the bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.panels.bytes()
    }
}

/// Returns `x W + b + residual` along the last axis, with `weight` `[in, out]`.
///
/// # Panics
///
/// Panics if the shapes do not fit, or [`supports`](super::supports) is false for an input.
#[must_use]
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    residual: Option<Tensor<D>>,
) -> Tensor<D> {
    let [inputs, outputs] = weight.dims();
    let product = Product { inputs, outputs, packed: None, remember: false };
    apply_to(x, weight.into_dispatch(), product, bias, residual)
}

/// As [`linear`], with packed weights. These get no gradient; all other inputs do.
///
/// # Panics
///
/// As there.
#[must_use]
pub fn linear_packed<const D: usize>(
    x: Tensor<D>,
    weight: &PackedLinear,
    bias: Option<Tensor<1>>,
    residual: Option<Tensor<D>>,
) -> Tensor<D> {
    apply_to(x, absent(), Product::packed(weight), bias, residual)
}

/// As [`linear_packed`], for rows that come again, such as the embeddings of timesteps: the products of
/// a hundred rows are remembered with the weights, and not computed again.
///
/// # Panics
///
/// As there.
#[must_use]
pub fn linear_remembered(
    x: Tensor<2>,
    weight: &PackedLinear,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    let product = Product { remember: true, ..Product::packed(weight) };
    let product = apply_to(x, absent(), product, None, None);
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}

fn apply_to<const D: usize>(
    x: Tensor<D>,
    weight: DispatchTensor,
    operation: Product,
    bias: Option<Tensor<1>>,
    residual: Option<Tensor<D>>,
) -> Tensor<D> {
    let mut shape = x.dims();
    assert_eq!(shape[D - 1], operation.inputs, "the last axis of x and the inputs of the layer");
    let rows = shape[..D - 1].iter().product::<usize>();
    let x = x.reshape([rows, operation.inputs]);
    shape[D - 1] = operation.outputs;
    let tensors = [
        x.into_dispatch(),
        weight,
        bias.map_or_else(absent, Tensor::into_dispatch),
        residual.map_or_else(absent, |residual| {
            residual.reshape([rows, operation.outputs]).into_dispatch()
        }),
    ];
    apply::<4, 2, _>(operation, tensors).reshape(shape)
}

#[derive(Clone, Debug)]
struct Product {
    inputs: usize,
    outputs: usize,
    /// The weights, if they are no input.
    packed: Option<Arc<Weights>>,
    /// Whether rows are remembered: with packed weights, and where nothing is added.
    remember: bool,
}

impl Product {
    fn packed(weight: &PackedLinear) -> Self {
        let weights = weight.0.clone();
        let (inputs, outputs) = (weights.panels.rows(), weights.panels.cols());
        Self { inputs, outputs, packed: Some(weights), remember: false }
    }
}

impl Operation<4> for Product {
    type Saved = ();
    const READS: [bool; 4] = [true, true, false, false];

    fn forward(&self, [x, weight, bias, residual]: &[FlexTensor; 4]) -> (FlexTensor, ()) {
        let x = Matrix::new(numbers(x), self.inputs);
        let mut out = Memory::new(x.rows * self.outputs);
        let plus = Plus { bias: present(bias), per_group: None, residual: present(residual) };
        match &self.packed {
            Some(weights) if self.remember => {
                weights.remembered.product(x, &weights.panels, &mut out);
            }
            Some(weights) => matmul(x, &weights.panels, &mut out, plus),
            None => {
                let panels = Panels::pack(Matrix::new(numbers(weight), self.outputs));
                matmul(x, &panels, &mut out, plus);
            }
        }
        (tensor(out, [x.rows, self.outputs]), ())
    }

    fn backward(&self, pass: BackwardPass<'_, 4, ()>) -> [Option<FlexTensor>; 4] {
        let [x, weight, bias, residual] = pass.wanted;
        let dy = Matrix::new(numbers(&pass.gradient), self.outputs);
        let dx = x.then(|| {
            let unpacked = self.packed.as_ref().map(|weights| weights.panels.unpack());
            let weight = unpacked.as_deref().unwrap_or_else(|| numbers(pass.input(1)));
            let weight = Matrix::new(weight, self.outputs);
            let mut dx = Memory::new(dy.rows * self.inputs);
            matmul(dy, &Panels::pack(weight.transposed()), &mut dx, Plus::default());
            tensor(dx, [dy.rows, self.inputs])
        });
        let dw = weight.then(|| {
            let mut dw = Memory::new(self.inputs * self.outputs);
            matmul_transposed(Matrix::new(numbers(pass.input(0)), self.inputs), dy, &mut dw);
            tensor(dw, [self.inputs, self.outputs])
        });
        let db = bias.then(|| {
            let mut sum = Memory::new(self.outputs);
            sums::of_columns(dy.data, &mut sum);
            tensor(sum, [self.outputs])
        });
        [dx, dw, db, residual.then_some(pass.gradient)]
    }
}
