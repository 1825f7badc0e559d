//! Linear combinations of tensors.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{DType, Tensor};

use super::memory::Memory;
use super::operation::{BackwardPass, Operation, apply, numbers};
use crate::chunks::for_each;
use crate::linear_combination;

/// Returns `Σ wᵢ xᵢ`, added in their order, in one pass over the memory.
///
/// A term is the weights and a tensor `[batch, …]`: one weight for all samples, or one per sample.
///
/// # Panics
///
/// Panics without any term, for another number of weights, if the shapes differ, or if
/// [`supports`](super::supports) is false for a tensor.
#[must_use]
pub fn linear_combination<const D: usize>(mut terms: Vec<(Vec<f64>, Tensor<D>)>) -> Tensor<D> {
    match terms.len() {
        0 => panic!("a linear combination has at least one term"),
        1 => combine::<1, D>(terms),
        2 => combine::<2, D>(terms),
        3 => combine::<3, D>(terms),
        4 => combine::<4, D>(terms),
        5 => combine::<5, D>(terms),
        6 => combine::<6, D>(terms),
        7 => combine::<7, D>(terms),
        8 => combine::<8, D>(terms),
        _ => {
            let others = terms.split_off(8);
            let sum = (vec![1.0], combine::<8, D>(terms));
            linear_combination([sum].into_iter().chain(others).collect())
        }
    }
}

/// Combines N terms.
fn combine<const N: usize, const D: usize>(terms: Vec<(Vec<f64>, Tensor<D>)>) -> Tensor<D> {
    let shape = terms[0].1.dims();
    let samples = terms.iter().map(|(weights, _)| weights.len()).max().unwrap_or(1);
    let mut terms = terms.into_iter();
    let (mut weights, mut each) = (vec![[0.0; N]; samples], 0);
    let inputs = [(); N].map(|()| {
        let (of_term, x) = terms.next().expect("N terms");
        assert_eq!(x.dims(), shape, "the shape of a tensor of a linear combination");
        let fits = of_term.len() == 1 || of_term.len() == shape[0];
        assert!(fits, "{} weights for {} samples", of_term.len(), shape[0]);
        for (row, weight) in weights.iter_mut().zip(of_term.iter().cycle()) {
            row[each] = *weight as f32;
        }
        each += 1;
        x.into_dispatch()
    });
    apply(Combination { weights }, inputs)
}

#[derive(Clone, Debug)]
struct Combination<const N: usize> {
    /// The weights of the terms, for each sample or once for all.
    weights: Vec<[f32; N]>,
}

impl<const N: usize> Operation<N> for Combination<N> {
    type Saved = ();
    const READS: [bool; N] = [false; N];

    fn forward(&self, inputs: &[FlexTensor; N]) -> (FlexTensor, ()) {
        (weighted(&self.weights, inputs.each_ref()), ())
    }

    fn backward(&self, pass: BackwardPass<'_, N, ()>) -> [Option<FlexTensor>; N] {
        std::array::from_fn(|i| {
            let weights: Vec<[f32; 1]> = self.weights.iter().map(|row| [row[i]]).collect();
            pass.wanted[i].then(|| weighted(&weights, [&pass.gradient]))
        })
    }
}

/// Returns the sum of tensors of the same shape, with a row of weights for each sample or one for
/// all.
fn weighted<const N: usize>(weights: &[[f32; N]], tensors: [&FlexTensor; N]) -> FlexTensor {
    let shape = tensors[0].layout().shape().clone();
    let mut out = Memory::new(shape.num_elements());
    let (len, work) = ((out.len() / weights.len()).max(1), N * out.len());
    let tensors = tensors.map(numbers);
    for_each(&mut out, len, work, |sample, out| {
        let terms: [(f32, &[f32]); N] =
            std::array::from_fn(|i| (weights[sample][i], &tensors[i][sample * len..][..out.len()]));
        linear_combination::write(&terms, out);
    });
    FlexTensor::new(out.into_bytes(), Layout::contiguous(shape), DType::F32)
}
