//! Normalizations.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::memory::Memory;
use super::operation::{BackwardPass, Operation, absent, apply, numbers, present, tensor};
use crate::{group_norm, layer_norm};

/// The settings of a group normalization.
#[derive(Clone, Copy, Debug)]
pub struct GroupNormOptions {
    /// The number of groups; it divides the channels.
    pub groups: usize,
    /// What is added to the variance.
    pub epsilon: f64,
    /// Whether SiLU follows.
    pub silu: bool,
}

/// Returns the group normalization of `x` (`[batch, h, w, channels]`) with a gain and a bias per
/// channel, and its SiLU if the options say so.
///
/// # Panics
///
/// Panics if the shapes do not fit, or [`supports`](super::supports) is false for an input.
#[must_use]
pub fn group_norm(
    x: Tensor<4>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    options: GroupNormOptions,
) -> Tensor<4> {
    let [n, h, w, channels] = x.dims();
    let inputs = [
        x.into_dispatch(),
        gamma.map_or_else(absent, Tensor::into_dispatch),
        beta.map_or_else(absent, Tensor::into_dispatch),
    ];
    apply(Group { shape: [n, h, w, channels], options }, inputs)
}

#[derive(Clone, Debug)]
struct Group {
    shape: [usize; 4],
    options: GroupNormOptions,
}

impl Group {
    fn norm<'a>(&self, gamma: &'a [f32], beta: &'a [f32]) -> group_norm::GroupNorm<'a> {
        let ([n, h, w, channels], options) = (self.shape, self.options);
        group_norm::GroupNorm {
            shape: [n, h * w, channels],
            groups: options.groups,
            gamma,
            beta,
            eps: options.epsilon,
            silu: options.silu,
        }
    }
}

impl Operation<3> for Group {
    type Saved = Vec<f32>;
    const READS: [bool; 3] = [true, true, true];

    fn forward(&self, [x, gamma, beta]: &[FlexTensor; 3]) -> (FlexTensor, Vec<f32>) {
        let channels = self.shape[3];
        let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
        let (gamma, beta) = (present(gamma).unwrap_or(&ones), present(beta).unwrap_or(&zeros));
        let mut stats = vec![0.0; self.shape[0] * self.options.groups * 2];
        let x = numbers(x);
        let mut out = Memory::new(x.len());
        group_norm::forward(self.norm(gamma, beta), x, &mut out, &mut stats);
        (tensor(out, self.shape), stats)
    }

    fn backward(&self, pass: BackwardPass<'_, 3, Vec<f32>>) -> [Option<FlexTensor>; 3] {
        let channels = self.shape[3];
        let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
        let norm = self.norm(
            present(pass.input(1)).unwrap_or(&ones),
            present(pass.input(2)).unwrap_or(&zeros),
        );
        let (x, dy) = (numbers(pass.input(0)), numbers(&pass.gradient));
        let (mut dx, mut dgamma, mut dbeta) =
            (Memory::new(x.len()), Memory::new(channels), Memory::new(channels));
        group_norm::backward(norm, x, pass.saved, dy, &mut dx, &mut dgamma, &mut dbeta);
        [
            pass.wanted[0].then(|| tensor(dx, self.shape)),
            pass.wanted[1].then(|| tensor(dgamma, [channels])),
            pass.wanted[2].then(|| tensor(dbeta, [channels])),
        ]
    }
}

/// Returns the layer normalization of the last axis of `x`, with a gain and a bias per element.
///
/// # Panics
///
/// Panics if the shapes do not fit, or [`supports`](super::supports) is false for an input.
#[must_use]
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
) -> Tensor<D> {
    let shape = x.dims();
    let len = shape[D - 1];
    let inputs = [
        x.reshape([-1, len as i64]).into_dispatch(),
        gamma.into_dispatch(),
        beta.map_or_else(absent, Tensor::into_dispatch),
    ];
    apply::<3, 2, _>(Layer { len, epsilon }, inputs).reshape(shape)
}

#[derive(Clone, Debug)]
struct Layer {
    len: usize,
    epsilon: f64,
}

impl Operation<3> for Layer {
    type Saved = Vec<f32>;
    const READS: [bool; 3] = [true, true, false];

    fn forward(&self, [x, gamma, beta]: &[FlexTensor; 3]) -> (FlexTensor, Vec<f32>) {
        let (x, zeros) = (numbers(x), vec![0.0; self.len]);
        let rows = x.len() / self.len;
        let (mut out, mut stats) = (Memory::new(x.len()), vec![0.0; 2 * rows]);
        let beta = present(beta).unwrap_or(&zeros);
        layer_norm::forward(x, numbers(gamma), beta, self.epsilon, &mut out, &mut stats);
        (tensor(out, [rows, self.len]), stats)
    }

    fn backward(&self, pass: BackwardPass<'_, 3, Vec<f32>>) -> [Option<FlexTensor>; 3] {
        let (x, gamma) = (numbers(pass.input(0)), numbers(pass.input(1)));
        let (mut dx, mut dgamma, mut dbeta) =
            (Memory::new(x.len()), Memory::new(self.len), Memory::new(self.len));
        let dy = numbers(&pass.gradient);
        layer_norm::backward(x, pass.saved, dy, gamma, &mut dx, &mut dgamma, &mut dbeta);
        [
            pass.wanted[0].then(|| tensor(dx, [x.len() / self.len, self.len])),
            pass.wanted[1].then(|| tensor(dgamma, [self.len])),
            pass.wanted[2].then(|| tensor(dbeta, [self.len])),
        ]
    }
}
