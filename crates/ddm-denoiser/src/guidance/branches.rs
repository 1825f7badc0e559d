//! The branches of guidance, in one batch.

use burn::tensor::Tensor;

use crate::per_sample::times;
use crate::{Condition, ConditionalPredictor};

/// A condition, and how much it counts: one weight for all samples, or one a sample.
pub(crate) struct Term<'a, C> {
    pub(crate) condition: &'a C,
    pub(crate) weights: Vec<f64>,
}

impl<C> Term<'_, C> {
    fn counts(&self) -> bool {
        self.weights.iter().any(|&weight| weight != 0.0)
    }
}

/// What the branches come to.
pub(crate) struct Answer<const D: usize> {
    /// The guided F.
    pub(crate) guided: Tensor<D>,
    /// F of the first branch: of the first condition that counts, or of ∅ where none does.
    pub(crate) first: Tensor<D>,
    /// What the first branch answers beyond F, such as a learned variance: that is not guided.
    rest: Option<Tensor<D>>,
}

impl<const D: usize> Answer<D> {
    /// F, and after it what the network answers beyond it.
    pub(crate) fn whole(self) -> Tensor<D> {
        match self.rest {
            Some(rest) => Tensor::cat(vec![self.guided, rest], 1),
            None => self.guided,
        }
    }
}

/// `F(∅) + Σ_i w_i (F(c_i) − F(∅))` in one batch, in which a branch is left out that counts
/// nowhere: a condition of weight 0, and ∅ where the weights sum to 1.
pub(crate) fn ask<'a, const D: usize, N: ConditionalPredictor<D>>(
    network: &N,
    (x, t): (Tensor<D>, Tensor<1>),
    null: &N::Condition,
    terms: impl IntoIterator<Item = Term<'a, N::Condition>>,
) -> Answer<D>
where
    N::Condition: 'a,
{
    let shape = x.dims();
    let terms: Vec<_> = terms.into_iter().filter(Term::counts).collect();
    let sums_to_one = |sample: usize| {
        let sum: f64 = terms.iter().map(|term| term.weights[sample]).sum();
        sum == 1.0
    };
    let plain = !terms.is_empty() && (0..terms[0].weights.len()).all(sums_to_one);
    let conditions = terms.iter().map(|term| term.condition).chain((!plain).then_some(null));
    let told = conditions.cloned().reduce(Condition::followed_by).unwrap_or_else(|| null.clone());
    let branches = terms.len() + usize::from(!plain);
    let (x, t) = (vec![x; branches], vec![t; branches]);
    let answers = network.predict_with(Tensor::cat(x, 0), Tensor::cat(t, 0), told);

    let (answers, rest) = split(answers, shape);
    let branch = |i: usize| answers.clone().narrow(0, i * shape[0], shape[0]);
    let weighed = terms.iter().enumerate();
    let guided = if plain {
        let weighed = weighed.map(|(i, term)| times(branch(i), &term.weights));
        weighed.reduce(|sum, term| sum + term).unwrap_or_else(|| branch(0))
    } else {
        let base = branch(terms.len());
        let towards =
            |(i, term): (usize, &Term<'_, _>)| times(branch(i) - base.clone(), &term.weights);
        weighed.map(towards).fold(base.clone(), |sum, term| sum + term)
    };
    Answer { guided, first: branch(0), rest: rest.map(|rest| rest.narrow(0, 0, shape[0])) }
}

/// F, and what is beyond the channels of x (axis 1).
fn split<const D: usize>(answers: Tensor<D>, shape: [usize; D]) -> (Tensor<D>, Option<Tensor<D>>) {
    match (shape.get(1), answers.dims().get(1)) {
        (Some(&channels), Some(&all)) if all > channels => {
            let rest = answers.clone().narrow(1, channels, all - channels);
            (answers.narrow(1, 0, channels), Some(rest))
        }
        _ => (answers, None),
    }
}
