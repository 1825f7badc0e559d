//! The noise-prediction network, as people implement it on their burn module.

use burn::tensor::Tensor;

use crate::{Condition, ModelError};

/// A network `F(x_t, t)`: it predicts ε, or x₀, v, the score, a velocity — which of them, its
/// [`Parameterization`](crate::Parameterization) says.
///
/// `x` is `[batch, …]` of any rank D; `t` is `[batch]`, in the unit of
/// [`NoiseSchedule::timestep`](ddm_schedule::NoiseSchedule::timestep) (0 … 1000). The answer has
/// the shape of x.
///
/// ```
/// use burn::tensor::Tensor;
/// use ddm_denoiser::NoisePredictor;
/// /// The best guess where the data is N(0, 1) and the schedule preserves variance, at full noise.
/// struct AllNoise;
/// impl<const D: usize> NoisePredictor<D> for AllNoise {
///     fn predict(&self, x: Tensor<D>, _t: Tensor<1>) -> Tensor<D> {
///         x
///     }
/// }
/// ```
pub trait NoisePredictor<const D: usize> {
    /// `F(x, t)`, of the shape of x.
    fn predict(&self, x: Tensor<D>, t: Tensor<1>) -> Tensor<D>;

    /// Whether the network can take x of this shape. Called once before a run starts.
    fn check(&self, shape: [usize; D]) -> Result<(), ModelError> {
        let _ = shape;
        Ok(())
    }
}

/// A network that is also told a condition: class labels, a text embedding, an image.
///
/// [`Conditioned`](crate::Conditioned) binds a condition and makes it a [`NoisePredictor`];
/// [`ClassifierFree`](crate::ClassifierFree) guides with one, [`Composed`](crate::Composed) with
/// several.
pub trait ConditionalPredictor<const D: usize> {
    /// What the network is told, one entry a sample.
    type Condition: Condition;

    /// `F(x, t, c)`, of the shape of x.
    fn predict_with(&self, x: Tensor<D>, t: Tensor<1>, condition: Self::Condition) -> Tensor<D>;

    /// Whether the network can take x of this shape with this condition. Called once before a run.
    fn check_with(&self, shape: [usize; D], condition: &Self::Condition) -> Result<(), ModelError> {
        let _ = (shape, condition);
        Ok(())
    }
}

impl<const D: usize, N: NoisePredictor<D> + ?Sized> NoisePredictor<D> for &N {
    fn predict(&self, x: Tensor<D>, t: Tensor<1>) -> Tensor<D> {
        (**self).predict(x, t)
    }
    fn check(&self, shape: [usize; D]) -> Result<(), ModelError> {
        (**self).check(shape)
    }
}

impl<const D: usize, N: ConditionalPredictor<D> + ?Sized> ConditionalPredictor<D> for &N {
    type Condition = N::Condition;
    fn predict_with(&self, x: Tensor<D>, t: Tensor<1>, condition: Self::Condition) -> Tensor<D> {
        (**self).predict_with(x, t, condition)
    }
    fn check_with(&self, shape: [usize; D], condition: &Self::Condition) -> Result<(), ModelError> {
        (**self).check_with(shape, condition)
    }
}
