//! SiLU, concatenation and resizing.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::memory::Memory;
use super::operation::{BackwardPass, Operation, apply, numbers, tensor};
use crate::{concat, silu, upsample};

/// Returns `x/(1 + e^(−x))`.
///
/// # Panics
///
/// Panics if [`supports`](super::supports) is false for x.
#[must_use]
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims();
    apply::<1, 1, _>(Silu, [x.reshape([-1]).into_dispatch()]).reshape(shape)
}

#[derive(Clone, Debug)]
struct Silu;

impl Operation<1> for Silu {
    type Saved = ();
    const READS: [bool; 1] = [true];

    fn forward(&self, [x]: &[FlexTensor; 1]) -> (FlexTensor, ()) {
        let x = numbers(x);
        let mut out = Memory::new(x.len());
        silu::forward(x, &mut out);
        (tensor(out, [x.len()]), ())
    }

    fn backward(&self, pass: BackwardPass<'_, 1, ()>) -> [Option<FlexTensor>; 1] {
        let x = numbers(pass.input(0));
        let mut dx = Memory::new(x.len());
        silu::backward(x, numbers(&pass.gradient), &mut dx);
        [Some(tensor(dx, [x.len()]))]
    }
}

/// Joins two images of the same size along their channels.
///
/// # Panics
///
/// Panics if the sizes differ, or [`supports`](super::supports) is false for an input.
#[must_use]
pub fn concat(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    let ([n, h, w, of_a], [.., of_b]) = (a.dims(), b.dims());
    assert_eq!([n, h, w, of_b], b.dims(), "the sizes of the images");
    apply(Join { pixels: [n, h, w], channels: [of_a, of_b] }, [a, b].map(Tensor::into_dispatch))
}

#[derive(Clone, Debug)]
struct Join {
    pixels: [usize; 3],
    channels: [usize; 2],
}

impl Join {
    fn shape(&self, channels: usize) -> [usize; 4] {
        let [n, h, w] = self.pixels;
        [n, h, w, channels]
    }
}

impl Operation<2> for Join {
    type Saved = ();
    const READS: [bool; 2] = [false, false];

    fn forward(&self, [a, b]: &[FlexTensor; 2]) -> (FlexTensor, ()) {
        let (a, b) = (numbers(a), numbers(b));
        let mut out = Memory::new(a.len() + b.len());
        concat::join(a, b, self.channels, &mut out);
        (tensor(out, self.shape(self.channels.iter().sum())), ())
    }

    fn backward(&self, pass: BackwardPass<'_, 2, ()>) -> [Option<FlexTensor>; 2] {
        let shapes = self.channels.map(|channels| self.shape(channels));
        let [mut a, mut b] = shapes.map(|shape| Memory::new(shape.iter().product()));
        concat::split(numbers(&pass.gradient), self.channels, &mut a, &mut b);
        [Some(tensor(a, shapes[0])), Some(tensor(b, shapes[1]))]
    }
}

/// Doubles the height and width of `x` (`[batch, h, w, channels]`), by repeating every pixel four
/// times.
///
/// # Panics
///
/// Panics if [`supports`](super::supports) is false for x.
#[must_use]
pub fn upsample_nearest(x: Tensor<4>) -> Tensor<4> {
    apply(Upsample { shape: x.dims() }, [x.into_dispatch()])
}

#[derive(Clone, Debug)]
struct Upsample {
    shape: [usize; 4],
}

impl Operation<1> for Upsample {
    type Saved = ();
    const READS: [bool; 1] = [false];

    fn forward(&self, [x]: &[FlexTensor; 1]) -> (FlexTensor, ()) {
        let (x, [n, h, w, channels]) = (numbers(x), self.shape);
        let mut out = Memory::new(4 * x.len());
        upsample::nearest::forward(x, self.shape, &mut out);
        (tensor(out, [n, 2 * h, 2 * w, channels]), ())
    }

    fn backward(&self, pass: BackwardPass<'_, 1, ()>) -> [Option<FlexTensor>; 1] {
        let mut dx = Memory::new(self.shape.iter().product());
        upsample::nearest::backward(numbers(&pass.gradient), self.shape, &mut dx);
        [Some(tensor(dx, self.shape))]
    }
}

/// Resizes `x` (`[batch, h, w, channels]`) to `size` (height, width), bilinearly between the centres of
/// the pixels, as torch does without `align_corners`.
///
/// # Panics
///
/// Panics if an image without pixels is to become one with pixels, or [`supports`](super::supports) is
/// false for x.
#[must_use]
pub fn resize_bilinear(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    apply(Bilinear { shape: x.dims(), size }, [x.into_dispatch()])
}

#[derive(Clone, Debug)]
struct Bilinear {
    shape: [usize; 4],
    size: [usize; 2],
}

impl Operation<1> for Bilinear {
    type Saved = ();
    const READS: [bool; 1] = [false];

    fn forward(&self, [x]: &[FlexTensor; 1]) -> (FlexTensor, ()) {
        let ([n, _, _, channels], [height, width]) = (self.shape, self.size);
        let mut out = Memory::new(n * height * width * channels);
        upsample::bilinear::forward(numbers(x), self.shape, self.size, &mut out);
        (tensor(out, [n, height, width, channels]), ())
    }

    fn backward(&self, pass: BackwardPass<'_, 1, ()>) -> [Option<FlexTensor>; 1] {
        let mut dx = Memory::new(self.shape.iter().product());
        upsample::bilinear::backward(numbers(&pass.gradient), self.shape, self.size, &mut dx);
        [Some(tensor(dx, self.shape))]
    }
}
