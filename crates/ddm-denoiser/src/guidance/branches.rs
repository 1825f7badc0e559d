//! The branches of guidance, evaluated in one batch.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use crate::per_sample::times;
use crate::{Condition, ConditionalPredictor, Model, ModelError, Parameterization};

/// A condition and its weight: one for all samples, or one per sample.
pub(crate) struct Term<'a, C> {
    pub(crate) condition: &'a C,
    pub(crate) weights: Vec<f64>,
}

impl<C> Term<'_, C> {
    fn counts(&self) -> bool {
        self.weights.iter().any(|&weight| weight != 0.0)
    }
}

/// The network's output for a batch of branches, combined.
pub(crate) struct Branches<const D: usize> {
    /// The guided F.
    pub(crate) guided: Tensor<D>,
    /// F of the first branch: of the first condition with a weight other than 0, or of ∅ if there
    /// is none.
    pub(crate) first: Tensor<D>,
    /// The output of the first branch beyond F, such as a learned variance, which is not guided.
    rest: Option<Tensor<D>>,
}

impl<const D: usize> Branches<D> {
    /// `F(∅) + Σ_i w_i (F(c_i) − F(∅))` in one batch, without the branches of weight 0: conditions
    /// of weight 0, and ∅ if the weights sum to 1.
    pub(crate) fn of<'a, N: ConditionalPredictor<D>, P: Parameterization>(
        model: &Model<N, P>,
        x: &Tensor<D>,
        at: &[NoiseLevel],
        null: &N::Condition,
        terms: impl IntoIterator<Item = Term<'a, N::Condition>>,
    ) -> Self
    where
        N::Condition: 'a,
    {
        let shape = x.dims();
        let terms: Vec<_> = terms.into_iter().filter(Term::counts).collect();
        let sums_to_one = |level: usize| {
            let sum: f64 = terms.iter().map(|term| term.weights[level]).sum();
            sum == 1.0
        };
        let plain = !terms.is_empty() && (0..terms[0].weights.len()).all(sums_to_one);
        let conditions = terms.iter().map(|term| term.condition).chain((!plain).then_some(null));
        let all =
            conditions.cloned().reduce(Condition::followed_by).unwrap_or_else(|| null.clone());
        let branches = terms.len() + usize::from(!plain);
        let (input, t) = model.input(x, at);
        let (input, t) = (Tensor::cat(vec![input; branches], 0), Tensor::cat(vec![t; branches], 0));
        let output = model.network.predict_with(input, t, all).cast(x.dtype());

        let (f, rest) = split(output, shape);
        let branch = |i: usize| f.clone().narrow(0, i * shape[0], shape[0]);
        let weighted = terms.iter().enumerate();
        let guided = if plain {
            let weighted = weighted.map(|(i, term)| times(branch(i), &term.weights));
            weighted.reduce(|sum, term| sum + term).unwrap_or_else(|| branch(0))
        } else {
            let base = branch(terms.len());
            let towards =
                |(i, term): (usize, &Term<'_, _>)| times(branch(i) - base.clone(), &term.weights);
            weighted.map(towards).fold(base.clone(), |sum, term| sum + term)
        };
        Self { guided, first: branch(0), rest: rest.map(|rest| rest.narrow(0, 0, shape[0])) }
    }

    /// The guided F followed by the rest of the output, in the form of one branch's output.
    pub(crate) fn output(self) -> Tensor<D> {
        match self.rest {
            Some(rest) => Tensor::cat(vec![self.guided, rest], 1),
            None => self.guided,
        }
    }
}

/// F, and the output beyond the channels of x (axis 1).
fn split<const D: usize>(output: Tensor<D>, shape: [usize; D]) -> (Tensor<D>, Option<Tensor<D>>) {
    match (shape.get(1), output.dims().get(1)) {
        (Some(&channels), Some(&all)) if all > channels => {
            let rest = output.clone().narrow(1, channels, all - channels);
            (output.narrow(1, 0, channels), Some(rest))
        }
        _ => (output, None),
    }
}

impl<N, P: Parameterization> Model<N, P> {
    /// Checks that a run with `condition` may start from x at level `noisiest`.
    pub(crate) fn check_with<const D: usize>(
        &self,
        x: &Tensor<D>,
        noisiest: NoiseLevel,
        condition: &N::Condition,
    ) -> Result<(), ModelError>
    where
        N: ConditionalPredictor<D>,
    {
        self.parameterization.check(noisiest)?;
        ModelError::require_batch("the condition", condition.batch(), x.dims()[0])?;
        self.network.check_with(x.dims(), condition)?;
        self.check_output(x, self.network.output_shape_with(x.dims()), |x| {
            let (input, t) = self.input(&x, &[noisiest]);
            self.network.predict_with(input, t, condition.clone())
        })
    }
}
