//! Weighted sums of tensors: what samplers, guidance and integrators are made of.

use burn::tensor::Tensor;

use crate::per_sample::times;

/// Returns `Σ wᵢ xᵢ`, added in their order; terms of weight 0 are left out.
///
/// With the feature `kernels`, tensors of one shape in f32 on burn's flex are added in one pass over
/// the memory, on several threads; all others by burn's operators.
///
/// # Panics
///
/// Panics without any term, or if the shapes do not fit.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::linear_combination;
/// let x = Tensor::<1>::from_floats([1.0, 2.0], &Device::flex());
/// let y = Tensor::<1>::from_floats([3.0, 5.0], &Device::flex());
/// let sum = linear_combination([(2.0, x), (-0.5, y)]);
/// assert_eq!(sum.into_data().to_vec::<f32>()?, [0.5, 1.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn linear_combination<const D: usize>(
    terms: impl IntoIterator<Item = (f64, Tensor<D>)>,
) -> Tensor<D> {
    linear_combination_each(terms.into_iter().map(|(weight, x)| (vec![weight], x)))
}

/// As [`linear_combination`], with the weights of each term: one for all samples (along the first
/// axis), or one per sample.
///
/// The numbers of a sample do not depend on the others.
///
/// # Panics
///
/// Panics without any term, for another number of weights, or if the shapes do not fit.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::linear_combination_each;
/// let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &Device::flex());
/// let sum = linear_combination_each([(vec![1.0, 10.0], x.clone()), (vec![-1.0], x)]);
/// assert_eq!(sum.into_data().to_vec::<f32>()?, [0.0, 0.0, 27.0, 36.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn linear_combination_each<const D: usize>(
    terms: impl IntoIterator<Item = (Vec<f64>, Tensor<D>)>,
) -> Tensor<D> {
    let mut terms: Vec<(Vec<f64>, Tensor<D>)> = terms.into_iter().collect();
    let counts = |(weights, _): &(Vec<f64>, _)| weights.iter().any(|&weight| weight != 0.0);
    if terms.iter().any(counts) {
        terms.retain(counts);
    } else {
        terms.truncate(1);
    }
    #[cfg(feature = "kernels")]
    if has_kernel(&terms) {
        return ddm_kernels::burn::linear_combination(terms);
    }
    let scaled = terms.into_iter().map(|(weights, x)| times(x, &weights));
    let sum = scaled.reduce(|sum, term| sum + term);
    sum.expect("a linear combination has at least one term")
}

/// Returns whether the kernel makes this sum; a tensor alone with weight 1 is the sum as it is.
#[cfg(feature = "kernels")]
fn has_kernel<const D: usize>(terms: &[(Vec<f64>, Tensor<D>)]) -> bool {
    let Some((weights, first)) = terms.first() else { return false };
    let alone = terms.len() == 1 && weights.iter().all(|&weight| weight == 1.0);
    let fits = |x: &Tensor<D>| x.dims() == first.dims() && ddm_kernels::burn::supports(x);
    !alone && terms.iter().all(|(_, x)| fits(x))
}
