//! Conditions, and networks with a bound condition.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::{ConditionalPredictor, ModelError, NoisePredictor};

/// The condition of a network, its input beside x and t, one per sample along the first axis.
///
/// Implemented for tensors: `Tensor<1, Int>` for class labels, `Tensor<3>` for text embeddings.
/// A struct of several tensors can implement it field by field.
pub trait Condition: Clone + Send + Sync {
    /// Returns the batch size.
    fn batch(&self) -> usize;
    /// Returns the conditions of `self`, then those of `other`: one batch for both branches of
    /// guidance.
    #[must_use]
    fn followed_by(self, other: Self) -> Self;
    /// Checks that both conditions can be concatenated into one batch.
    ///
    /// # Errors
    /// Returns an error if they cannot, such as for embeddings of different lengths.
    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        let _ = other;
        Ok(())
    }
    /// Returns the same conditions, with the rows where `rows` is true taken from `by`.
    #[must_use]
    fn replaced(self, by: Self, rows: &[bool]) -> Self;
}

/// A row mask `[batch, 1, …]` of rank C, to broadcast over a condition.
fn row_mask<const C: usize>(rows: &[bool], device: &Device) -> Tensor<C, Bool> {
    let mut shape = [1; C];
    shape[0] = rows.len();
    Tensor::from_data(TensorData::new(rows.to_vec(), shape), device)
}

/// Checks that one entry of a condition has the shape of one entry of another.
fn same_entries(found: &[usize], expected: &[usize]) -> Result<(), ModelError> {
    if found[1..] == expected[1..] {
        return Ok(());
    }
    let (found, expected) =
        (format!("{found:?}"), format!("entries of the shape of those of {expected:?}"));
    Err(ModelError::Shape { what: "the shape of a condition", found, expected })
}

impl<const C: usize> Condition for Tensor<C> {
    fn batch(&self) -> usize {
        self.dims()[0]
    }
    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        same_entries(&self.dims(), &other.dims())
    }
    fn followed_by(self, other: Self) -> Self {
        Self::cat(vec![self, other], 0)
    }
    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        let mask = row_mask::<C>(rows, &self.device()).expand(self.dims());
        self.mask_where(mask, by)
    }
}

impl<const C: usize> Condition for Tensor<C, Int> {
    fn batch(&self) -> usize {
        self.dims()[0]
    }
    fn joins(&self, other: &Self) -> Result<(), ModelError> {
        same_entries(&self.dims(), &other.dims())
    }
    fn followed_by(self, other: Self) -> Self {
        Self::cat(vec![self, other], 0)
    }
    fn replaced(self, by: Self, rows: &[bool]) -> Self {
        let mask = row_mask::<C>(rows, &self.device()).expand(self.dims());
        self.mask_where(mask, by)
    }
}

/// A conditional network with its condition bound: `F(x, t) = N(x, t, c)`.
///
/// Conditions are bound before sampling, so samplers never see them.
#[derive(Clone, Debug)]
pub struct Conditioned<N, C> {
    /// The network.
    pub network: N,
    /// Its condition, one per sample.
    pub condition: C,
}

impl<N, C> Conditioned<N, C> {
    /// Binds `condition`, one per sample, to `network`.
    pub fn new(network: N, condition: C) -> Self {
        Self { network, condition }
    }
}

impl<const D: usize, N: ConditionalPredictor<D>> NoisePredictor<D>
    for Conditioned<N, N::Condition>
{
    fn predict(&self, x: Tensor<D>, t: Tensor<1>) -> Tensor<D> {
        self.network.predict_with(x, t, self.condition.clone())
    }

    fn check(&self, shape: [usize; D]) -> Result<(), ModelError> {
        ModelError::require_batch("the condition", self.condition.batch(), shape[0])?;
        self.network.check_with(shape, &self.condition)
    }

    fn output_shape(&self, shape: [usize; D]) -> Option<[usize; D]> {
        self.network.output_shape_with(shape)
    }
}
