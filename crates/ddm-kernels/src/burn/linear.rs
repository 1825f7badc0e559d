//! Linear layers.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::operation::{BackwardPass, Operation, absent, apply, numbers, present, tensor};
use crate::gemm::{Matrix, Panels, Plus, matmul, matmul_transposed};
use crate::sums;

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
    let mut shape = x.dims();
    let [inputs, outputs] = weight.dims();
    assert_eq!(shape[D - 1], inputs, "the last axis of x and the inputs of the layer");
    shape[D - 1] = outputs;
    let operation = Product { inputs, outputs };
    let tensors = [
        x.reshape([-1, inputs as i64]).into_dispatch(),
        weight.into_dispatch(),
        bias.map_or_else(absent, Tensor::into_dispatch),
        residual.map_or_else(absent, Tensor::into_dispatch),
    ];
    apply::<4, 2, _>(operation, tensors).reshape(shape)
}

#[derive(Clone, Debug)]
struct Product {
    inputs: usize,
    outputs: usize,
}

impl Operation<4> for Product {
    type Saved = ();
    const READS: [bool; 4] = [true, true, false, false];

    fn forward(&self, [x, weight, bias, residual]: &[FlexTensor; 4]) -> (FlexTensor, ()) {
        let x = Matrix::new(numbers(x), self.inputs);
        let panels = Panels::pack(Matrix::new(numbers(weight), self.outputs));
        let mut out = vec![0.0; x.rows * self.outputs];
        let plus = Plus { bias: present(bias), per_group: None, residual: present(residual) };
        matmul(x, &panels, &mut out, plus);
        (tensor(out, [x.rows, self.outputs]), ())
    }

    fn backward(&self, pass: BackwardPass<'_, 4, ()>) -> [Option<FlexTensor>; 4] {
        let [x, weight, bias, residual] = pass.wanted;
        let dy = Matrix::new(numbers(&pass.gradient), self.outputs);
        let dx = x.then(|| {
            let weight = Matrix::new(numbers(pass.input(1)), self.outputs);
            let mut dx = vec![0.0; dy.rows * self.inputs];
            matmul(dy, &Panels::pack(weight.transposed()), &mut dx, Plus::default());
            tensor(dx, [dy.rows, self.inputs])
        });
        let dw = weight.then(|| {
            let mut dw = vec![0.0; self.inputs * self.outputs];
            matmul_transposed(Matrix::new(numbers(pass.input(0)), self.inputs), dy, &mut dw);
            tensor(dw, [self.inputs, self.outputs])
        });
        let db = bias.then(|| {
            let mut sum = vec![0.0; self.outputs];
            sums::of_columns(dy.data, &mut sum);
            tensor(sum, [self.outputs])
        });
        [dx, dw, db, residual.then_some(pass.gradient)]
    }
}
