//! The traits of networks, to implement on burn modules.

use auto_impl::auto_impl;
use burn::tensor::Tensor;

use crate::{Condition, ModelError};

/// A network `F(x_t, t)`. Its [`Parameterization`](crate::Parameterization) states what it
/// predicts: ε, x₀, v, the score or a velocity.
///
/// `x` is `[batch, …]` of any rank D; `t` is `[batch]`, in the unit of
/// [`NoiseSchedule::timestep`](ddm_schedule::NoiseSchedule::timestep) (0 … 1000). The prediction
/// has the shape of x.
///
/// ```
/// use burn::tensor::Tensor;
/// use ddm_denoiser::NoisePredictor;
/// /// The best prediction for data N(0, 1) on a schedule that preserves variance, at full noise.
/// struct AllNoise;
/// impl<const D: usize> NoisePredictor<D> for AllNoise {
///     fn predict(&self, x: Tensor<D>, _t: Tensor<1>) -> Tensor<D> {
///         x
///     }
/// }
/// ```
#[auto_impl(&, Box, Arc)]
pub trait NoisePredictor<const D: usize>: Send + Sync {
    /// Returns `F(x, t)`, of the shape of x, or of twice its channels if it
    /// [learns a variance](crate::Model::learned_variance).
    fn predict(&self, x: Tensor<D>, t: Tensor<1>) -> Tensor<D>;

    /// Checks that the network accepts x of this shape. Called once before a run starts.
    ///
    /// # Errors
    /// Returns an error if the shape is invalid for the network.
    fn check(&self, shape: [usize; D]) -> Result<(), ModelError> {
        let _ = shape;
        Ok(())
    }

    /// Returns the shape of the prediction for x of this shape. If it is `None`, the default, the
    /// network is called once before each run to determine it.
    fn output_shape(&self, shape: [usize; D]) -> Option<[usize; D]> {
        let _ = shape;
        None
    }
}

/// A network with a condition: class labels, a text embedding, an image.
///
/// [`Conditioned`](crate::Conditioned) binds a condition and makes it a [`NoisePredictor`];
/// [`ClassifierFree`](crate::ClassifierFree) guides with one, [`Composed`](crate::Composed) with
/// several.
#[auto_impl(&, Box, Arc)]
pub trait ConditionalPredictor<const D: usize>: Send + Sync {
    /// The type of the condition, with one row per sample.
    type Condition: Condition;

    /// Returns `F(x, t, c)`, of the shape of x, or of twice its channels if it
    /// [learns a variance](crate::Model::learned_variance).
    fn predict_with(&self, x: Tensor<D>, t: Tensor<1>, condition: Self::Condition) -> Tensor<D>;

    /// Checks that the network accepts x of this shape with this condition. Called once before a
    /// run.
    ///
    /// # Errors
    /// Returns an error if the shape or the condition is invalid for the network.
    fn check_with(&self, shape: [usize; D], condition: &Self::Condition) -> Result<(), ModelError> {
        let _ = (shape, condition);
        Ok(())
    }

    /// Returns the shape of the prediction, see [`NoisePredictor::output_shape`].
    fn output_shape_with(&self, shape: [usize; D]) -> Option<[usize; D]> {
        let _ = shape;
        None
    }
}
