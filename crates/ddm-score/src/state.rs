//! What an integrator carries: tensors that are combined sample by sample.

use burn::tensor::{Bool, Tensor, TensorData};
use ddm_denoiser::{column, sum_each};

/// A batch of points on the path of an ordinary differential equation, or of slopes there.
pub(crate) trait State: Clone {
    /// `Σ a_j k_j`; at least one term.
    fn sum(terms: &[(f64, &Self)]) -> Self;

    /// `y + h k`, with an h for each sample.
    fn advance(&self, h: &[f64], slope: Self) -> Self;

    /// The root mean square of `self_j/(1 + max(|before_j|, |after_j|))`, `[batch]`.
    fn size(&self, before: &Self, after: &Self) -> Tensor<1>;

    /// `other` for the samples that take it.
    fn replaced(self, other: Self, taken: &[bool]) -> Self;
}

impl<const D: usize> State for Tensor<D> {
    fn sum(terms: &[(f64, &Self)]) -> Self {
        let (&(a, first), rest) = terms.split_first().expect("every stage has a slope before it");
        rest.iter().fold(first.clone() * a, |sum, &(a, k)| sum + k.clone() * a)
    }

    fn advance(&self, h: &[f64], slope: Self) -> Self {
        self.clone() + slope * column(self, h.iter().copied())
    }

    fn size(&self, before: &Self, after: &Self) -> Tensor<1> {
        let elements = self.dims()[1..].iter().product::<usize>() as f64;
        weighed(self, before, after, 1.0).div_scalar(elements).sqrt()
    }

    fn replaced(self, other: Self, taken: &[bool]) -> Self {
        let mut shape = [1; D];
        shape[0] = taken.len();
        let taken = TensorData::new(taken.to_vec(), shape);
        let taken = Tensor::<D, Bool>::from_data(taken, &self.device()).expand(self.dims());
        self.mask_where(taken, other)
    }
}

/// A path and, beside it, integrals along it, `[batch, k]`: of these the greatest error counts, in
/// units of the number of elements of x.
impl<const D: usize> State for (Tensor<D>, Tensor<2>) {
    fn sum(terms: &[(f64, &Self)]) -> Self {
        let of_path: Vec<_> = terms.iter().map(|&(a, (path, _))| (a, path)).collect();
        let beside: Vec<_> = terms.iter().map(|&(a, (_, beside))| (a, beside)).collect();
        (State::sum(&of_path), State::sum(&beside))
    }

    fn advance(&self, h: &[f64], slope: Self) -> Self {
        (self.0.advance(h, slope.0), self.1.advance(h, slope.1))
    }

    fn size(&self, before: &Self, after: &Self) -> Tensor<1> {
        let elements = self.0.dims()[1..].iter().product::<usize>() as f64;
        let [batch, integrals] = self.1.dims();
        let worst: Tensor<1> = (0..integrals)
            .map(|k| {
                let of = |state: &Self| state.1.clone().narrow(1, k, 1);
                weighed(&of(self), &of(before), &of(after), elements).sqrt()
            })
            .fold(Tensor::zeros([batch], (&self.1.device(), self.1.dtype())), Tensor::max_pair);
        self.0.size(&before.0, &after.0).max_pair(worst)
    }

    fn replaced(self, other: Self, taken: &[bool]) -> Self {
        (self.0.replaced(other.0, taken), self.1.replaced(other.1, taken))
    }
}

/// `Σ (error/(unit + max(|before|, |after|)))²` of each sample.
fn weighed<const D: usize>(
    error: &Tensor<D>,
    before: &Tensor<D>,
    after: &Tensor<D>,
    unit: f64,
) -> Tensor<1> {
    let scale = before.clone().abs().max_pair(after.clone().abs()) + unit;
    sum_each((error.clone() / scale).square())
}
