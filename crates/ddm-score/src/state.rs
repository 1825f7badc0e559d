//! The state of an integrator: tensors that are combined per sample.

use burn::tensor::{Bool, Tensor, TensorData};
use ddm_denoiser::{linear_combination, linear_combination_each, sum_each};

/// A batch of points on the path of an ordinary differential equation, or of slopes there.
pub(crate) trait State: Clone {
    /// `Σ a_j k_j`; at least one term.
    fn sum(terms: &[(f64, &Self)]) -> Self;

    /// `y + h k`, with one h per sample.
    fn advance(&self, h: &[f64], slope: Self) -> Self;

    /// The root mean square of `self_j/(1 + max(|before_j|, |after_j|))`, `[batch]`.
    fn size(&self, before: &Self, after: &Self) -> Tensor<1>;

    /// `other` for the samples that are `taken`, else `self`.
    fn replaced(self, other: Self, taken: &[bool]) -> Self;
}

impl<const D: usize> State for Tensor<D> {
    fn sum(terms: &[(f64, &Self)]) -> Self {
        linear_combination(terms.iter().map(|&(a, k)| (a, k.clone())))
    }

    fn advance(&self, h: &[f64], slope: Self) -> Self {
        linear_combination_each([(vec![1.0], self.clone()), (h.to_vec(), slope)])
    }

    fn size(&self, before: &Self, after: &Self) -> Tensor<1> {
        root_mean_square(self, before, after, 1.0)
    }

    fn replaced(self, other: Self, taken: &[bool]) -> Self {
        let mut shape = [1; D];
        shape[0] = taken.len();
        let taken = TensorData::new(taken.to_vec(), shape);
        let taken = Tensor::<D, Bool>::from_data(taken, &self.device()).expand(self.dims());
        self.mask_where(taken, other)
    }
}

/// A path and integrals along it, `[batch, k]`, whose errors are in units of the number of elements
/// of x.
impl<const D: usize> State for (Tensor<D>, Tensor<2>) {
    fn sum(terms: &[(f64, &Self)]) -> Self {
        let of_path: Vec<_> = terms.iter().map(|&(a, (path, _))| (a, path)).collect();
        let beside: Vec<_> = terms.iter().map(|&(a, (_, beside))| (a, beside)).collect();
        (State::sum(&of_path), State::sum(&beside))
    }

    fn advance(&self, h: &[f64], slope: Self) -> Self {
        (self.0.advance(h, slope.0), self.1.advance(h, slope.1))
    }

    /// The sum of both sizes, so that NaN in one gives NaN.
    fn size(&self, before: &Self, after: &Self) -> Tensor<1> {
        let elements = elements(&self.0);
        self.0.size(&before.0, &after.0) + root_mean_square(&self.1, &before.1, &after.1, elements)
    }

    fn replaced(self, other: Self, taken: &[bool]) -> Self {
        (self.0.replaced(other.0, taken), self.1.replaced(other.1, taken))
    }
}

/// The root mean square of `error/(unit + max(|before|, |after|))` in each sample.
fn root_mean_square<const D: usize>(
    error: &Tensor<D>,
    before: &Tensor<D>,
    after: &Tensor<D>,
    unit: f64,
) -> Tensor<1> {
    let scale = before.clone().abs().max_pair(after.clone().abs()) + unit;
    (sum_each((error.clone() / scale).square()) / elements(error)).sqrt()
}

/// Number of elements of a sample.
fn elements<const D: usize>(x: &Tensor<D>) -> f64 {
    x.dims()[1..].iter().product::<usize>() as f64
}
