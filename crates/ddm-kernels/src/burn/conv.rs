//! Convolutions.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::operation::{BackwardPass, Operation, absent, apply, numbers, present, tensor};
use crate::conv::{Conv2d, ConvOptions, ConvWeights};
use crate::gemm::Plus;
use crate::sums;

/// Returns the convolution of `x` (`[batch, h, w, channels in]`) with `weight`
/// (`[channels out, channels in/groups, kh, kw]`), plus the bias, plus `per_sample`
/// (`[batch or 1, channels out]`) at every pixel, plus `residual`, of the shape of the output.
///
/// # Panics
///
/// Panics if the shapes do not fit, or [`supports`](super::supports) is false for an input.
#[must_use]
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    per_sample: Option<Tensor<2>>,
    residual: Option<Tensor<4>>,
    options: ConvOptions,
) -> Tensor<4> {
    let conv = Conv2d::new(x.dims(), weight.dims(), options).unwrap_or_else(|e| panic!("{e}"));
    let rows = per_sample.as_ref().map_or(1, |x| x.dims()[0]);
    let inputs = [
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.map_or_else(absent, Tensor::into_dispatch),
        per_sample.map_or_else(absent, Tensor::into_dispatch),
        residual.map_or_else(absent, Tensor::into_dispatch),
    ];
    apply(Convolution { conv, rows }, inputs)
}

#[derive(Clone, Debug)]
struct Convolution {
    conv: Conv2d,
    /// The rows of `per_sample`.
    rows: usize,
}

impl Convolution {
    /// Returns the pixels of the output for each row of `per_sample`.
    fn pixels(&self) -> usize {
        let [n, h, w, _] = self.conv.output_shape();
        (n * h * w / self.rows).max(1)
    }
}

impl Operation<5> for Convolution {
    type Saved = ();
    const READS: [bool; 5] = [true, true, false, false, false];

    fn forward(&self, [x, weight, bias, per_sample, residual]: &[FlexTensor; 5]) -> (FlexTensor, ()) {
        let plus = Plus {
            bias: present(bias),
            per_group: present(per_sample).map(|shift| (shift, self.pixels())),
            residual: present(residual),
        };
        let weights = ConvWeights::new(&self.conv, numbers(weight));
        let mut out = vec![0.0; self.conv.output_len()];
        self.conv.forward(numbers(x), &weights, plus, &mut out);
        (tensor(out, self.conv.output_shape()), ())
    }

    fn backward(&self, pass: BackwardPass<'_, 5, ()>) -> [Option<FlexTensor>; 5] {
        let Self { conv, .. } = self;
        let dy = numbers(&pass.gradient);
        let [x, weight, bias, per_sample, residual] = pass.wanted;
        let channels = conv.output_shape()[3];
        let dx = x.then(|| {
            let mut dx = vec![0.0; conv.input_len()];
            conv.backward_input(dy, numbers(pass.input(1)), &mut dx);
            tensor(dx, conv.input_shape())
        });
        let dw = weight.then(|| {
            let mut dw = vec![0.0; conv.weights_len()];
            conv.backward_weights(numbers(pass.input(0)), dy, &mut dw);
            tensor(dw, conv.weights_shape())
        });
        let shift = per_sample.then(|| {
            let mut sum = vec![0.0; self.rows * channels];
            sums::of_samples(dy, self.rows, channels, &mut sum);
            tensor(sum, [self.rows, channels])
        });
        let db = bias.then(|| {
            let mut sum = vec![0.0; channels];
            sums::of_columns(dy, &mut sum);
            tensor(sum, [channels])
        });
        [dx, dw, db, shift, residual.then_some(pass.gradient)]
    }
}
