//! What a model asks, where the levels are known.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

use crate::{ModelError, NoisePredictor};

/// A network as [`Model`](crate::Model) asks it: `F(x, t)`, at levels that the host knows.
///
/// Every [`NoisePredictor`] is one, and looks at x and t alone: implement that on a burn module.
/// Guidance whose scale depends on the level, such as [`ClassifierFree`](crate::ClassifierFree),
/// has to know the level itself, and not only the time that the network is told.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{Denoiser, Model, ModelError, Network, X0Prediction};
/// use ddm_schedule::NoiseLevel;
/// /// Data N(0, 1), whose x̂₀ = α x/(α² + σ²) needs the level; one level for all.
/// struct Known;
/// impl<const D: usize> Network<D> for Known {
///     fn answer(&self, x: Tensor<D>, _t: Tensor<1>, at: &[NoiseLevel]) -> Tensor<D> {
///         x * (at[0].alpha / at[0].scale().powi(2))
///     }
/// }
/// let at = NoiseLevel { timestep: 1.0, alpha: 1.0, sigma: 1.0 };
/// let x0 = Model::new(Known, X0Prediction).denoise(Tensor::<1>::ones([1], &Device::flex()), at);
/// assert_eq!(x0.into_scalar::<f32>(), 0.5);
/// ```
pub trait Network<const D: usize> {
    /// `F(x, t)`, of the shape of x. x is at the levels `at`: one for all samples, or one a sample.
    fn answer(&self, x: Tensor<D>, t: Tensor<1>, at: &[NoiseLevel]) -> Tensor<D>;

    /// Whether a run of x of this shape may start at level `noisiest`. Called once before a run.
    fn check_run(&self, shape: [usize; D], noisiest: NoiseLevel) -> Result<(), ModelError> {
        let _ = (shape, noisiest);
        Ok(())
    }
}

impl<const D: usize, N: NoisePredictor<D>> Network<D> for N {
    fn answer(&self, x: Tensor<D>, t: Tensor<1>, _: &[NoiseLevel]) -> Tensor<D> {
        self.predict(x, t)
    }
    fn check_run(&self, shape: [usize; D], _: NoiseLevel) -> Result<(), ModelError> {
        self.check(shape)
    }
}
