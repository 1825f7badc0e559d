//! Convolutions.

use std::sync::Arc;

use burn::backend::DispatchTensor;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::memory::Memory;
use super::operation::{BackwardPass, Operation, absent, apply, numbers, present, tensor, value};
use crate::conv::{Conv2d, ConvMethod, ConvOptions, ConvWeights};
use crate::gemm::Plus;
use crate::sums;

/// The weights of a convolution, packed once for many inputs.
#[derive(Clone, Debug)]
pub struct PackedConv {
    weights: Arc<ConvWeights>,
    shape: [usize; 4],
}

impl PackedConv {
    /// Packs weights for a method.
    ///
    /// # Panics
    ///
    /// Panics if `weight` is not of the plan's shape, not on flex, or on a tape.
    #[must_use]
    pub fn new(conv: &Conv2d, weight: Tensor<4>, method: ConvMethod) -> Self {
        assert_eq!(weight.dims(), conv.weights_shape(), "the shape of the weights");
        let weights = ConvWeights::with_method(conv, numbers(&value(weight)), method);
        Self { weights: Arc::new(weights), shape: conv.weights_shape() }
    }

    /// Returns the bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }
}

/// What is added to the output of a convolution while it is stored.
#[derive(Clone, Debug, Default)]
pub struct ConvPlus {
    /// A number per channel.
    pub bias: Option<Tensor<1>>,
    /// A number per sample and channel, `[batch or 1, channels]`, for every pixel.
    pub per_sample: Option<Tensor<2>>,
    /// A number per element.
    pub residual: Option<Tensor<4>>,
}

/// Returns the convolution of `x` (`[batch, h, w, channels in]`) with `weight`
/// (`[channels out, channels in/groups, kh, kw]`), and what is to be added.
///
/// # Panics
///
/// Panics if the shapes do not fit, or [`supports`](super::supports) is false for an input.
#[must_use]
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, plus: ConvPlus, options: ConvOptions) -> Tensor<4> {
    let shape = weight.dims();
    apply_to(x, weight.into_dispatch(), shape, None, plus, options)
}

/// As [`conv2d`], with packed weights. These get no gradient; all other inputs do.
///
/// # Panics
///
/// As there.
#[must_use]
pub fn conv2d_packed(
    x: Tensor<4>,
    weight: &PackedConv,
    plus: ConvPlus,
    options: ConvOptions,
) -> Tensor<4> {
    apply_to(x, absent(), weight.shape, Some(weight.weights.clone()), plus, options)
}

fn apply_to(
    x: Tensor<4>,
    weight: DispatchTensor,
    shape: [usize; 4],
    packed: Option<Arc<ConvWeights>>,
    plus: ConvPlus,
    options: ConvOptions,
) -> Tensor<4> {
    let conv = Conv2d::new(x.dims(), shape, options).unwrap_or_else(|error| panic!("{error}"));
    let rows = plus.per_sample.as_ref().map_or(1, |x| x.dims()[0]);
    let inputs = [
        x.into_dispatch(),
        weight,
        plus.bias.map_or_else(absent, Tensor::into_dispatch),
        plus.per_sample.map_or_else(absent, Tensor::into_dispatch),
        plus.residual.map_or_else(absent, Tensor::into_dispatch),
    ];
    apply(Convolution { conv, packed, rows }, inputs)
}

#[derive(Clone, Debug)]
struct Convolution {
    conv: Conv2d,
    /// The weights, if they are no input.
    packed: Option<Arc<ConvWeights>>,
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

    fn forward(
        &self,
        [x, weight, bias, per_sample, residual]: &[FlexTensor; 5],
    ) -> (FlexTensor, ()) {
        let plus = Plus {
            bias: present(bias),
            per_group: present(per_sample).map(|shift| (shift, self.pixels())),
            residual: present(residual),
        };
        let mut out = Memory::new(self.conv.output_len());
        match &self.packed {
            Some(weights) => self.conv.forward(numbers(x), weights, plus, &mut out),
            None => {
                let weights = ConvWeights::new(&self.conv, numbers(weight));
                self.conv.forward(numbers(x), &weights, plus, &mut out);
            }
        }
        (tensor(out, self.conv.output_shape()), ())
    }

    fn backward(&self, pass: BackwardPass<'_, 5, ()>) -> [Option<FlexTensor>; 5] {
        let Self { conv, .. } = self;
        let dy = numbers(&pass.gradient);
        let [x, weight, bias, per_sample, residual] = pass.wanted;
        let channels = conv.output_shape()[3];
        let dx = x.then(|| {
            let mut dx = Memory::new(conv.input_len());
            match &self.packed {
                Some(weights) => conv.backward_input_packed(dy, weights, &mut dx),
                None => conv.backward_input(dy, numbers(pass.input(1)), &mut dx),
            }
            tensor(dx, conv.input_shape())
        });
        let dw = weight.then(|| {
            let mut dw = Memory::new(conv.weights_len());
            conv.backward_weights(numbers(pass.input(0)), dy, &mut dw);
            tensor(dw, conv.weights_shape())
        });
        let shift = per_sample.then(|| {
            let mut sum = Memory::new(self.rows * channels);
            sums::of_samples(dy, self.rows, channels, &mut sum);
            tensor(sum, [self.rows, channels])
        });
        let db = bias.then(|| {
            let mut sum = Memory::new(channels);
            sums::of_columns(dy, &mut sum);
            tensor(sum, [channels])
        });
        [dx, dw, db, shift, residual.then_some(pass.gradient)]
    }
}
