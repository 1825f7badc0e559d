//! Transposed convolutions.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::memory::Memory;
use super::operation::{BackwardPass, Operation, absent, apply, numbers, present, tensor};
use crate::conv::{Conv2d, ConvOptions, ConvWeights};
use crate::gemm::Plus;
use crate::sums;

/// Returns the transposed convolution of `x` (`[batch, h, w, channels in]`) with `weight`
/// (`[channels in, channels out/groups, kh, kw]`), plus the bias.
///
/// It is the gradient of the convolution with `options`, so their padding is taken away from the
/// output, of height `(h − 1) · stride + dilation · (kh − 1) + 1 + extra − padding`, where `extra` is
/// less than the stride.
///
/// # Panics
///
/// Panics if the shapes do not fit, or [`supports`](super::supports) is false for an input.
#[must_use]
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions,
    extra: [usize; 2],
) -> Tensor<4> {
    let ([n, h, w, channels], [_, per_group, kh, kw]) = (x.dims(), weight.dims());
    let size = |axis: usize, size: usize, taps: usize| {
        let ConvOptions { stride, padding_begin, padding_end, dilation, .. } = options;
        let whole = (size.max(1) - 1) * stride[axis] + (taps.max(1) - 1) * dilation[axis] + 1;
        (whole + extra[axis]).saturating_sub(padding_begin[axis] + padding_end[axis])
    };
    let output = [n, size(0, h, kh), size(1, w, kw), per_group * options.groups];
    let conv =
        Conv2d::new(output, weight.dims(), options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(conv.output_shape(), [n, h, w, channels], "the shape of x");
    let inputs = [
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.map_or_else(absent, Tensor::into_dispatch),
    ];
    apply(Transposed { conv }, inputs)
}

/// The convolution whose input's gradient this is.
#[derive(Clone, Debug)]
struct Transposed {
    conv: Conv2d,
}

impl Operation<3> for Transposed {
    type Saved = ();
    const READS: [bool; 3] = [true, true, false];

    fn forward(&self, [x, weight, bias]: &[FlexTensor; 3]) -> (FlexTensor, ()) {
        let mut out = Memory::new(self.conv.input_len());
        self.conv.backward_input(numbers(x), numbers(weight), &mut out);
        if let Some(bias) = present(bias) {
            for pixel in out.chunks_exact_mut(bias.len()) {
                pixel.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
            }
        }
        (tensor(out, self.conv.input_shape()), ())
    }

    fn backward(&self, pass: BackwardPass<'_, 3, ()>) -> [Option<FlexTensor>; 3] {
        let (conv, dy) = (&self.conv, numbers(&pass.gradient));
        let [x, weight, bias] = pass.wanted;
        let dx = x.then(|| {
            let weights = ConvWeights::new(conv, numbers(pass.input(1)));
            let mut dx = Memory::new(conv.output_len());
            conv.forward(dy, &weights, Plus::default(), &mut dx);
            tensor(dx, conv.output_shape())
        });
        let dw = weight.then(|| {
            let mut dw = Memory::new(conv.weights_len());
            conv.backward_weights(dy, numbers(pass.input(0)), &mut dw);
            tensor(dw, conv.weights_shape())
        });
        let db = bias.then(|| {
            let [.., channels] = conv.input_shape();
            let mut sum = Memory::new(channels);
            sums::of_columns(dy, &mut sum);
            tensor(sum, [channels])
        });
        [dx, dw, db]
    }
}
