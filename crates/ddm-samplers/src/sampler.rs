//! The trait of samplers.

use burn::tensor::Tensor;
use ddm_schedule::{Levels, NoiseLevel};

use crate::{Context, SamplingError};

/// A rule that moves x from one noise level to a less noisy one.
///
/// The sampler asks the model through the [`Context`] (pull, not push), so a method with several
/// model calls a step is straight-line code. It is a plain value; what one step hands to the next
/// lives in `State`, so a sampler can serve many runs at once and a run can be cloned in the middle.
///
/// ```
/// use burn::tensor::Tensor;
/// use ddm_samplers::{Context, Sampler};
/// use ddm_schedule::{NoiseLevel, kernel::ddim_std};
/// /// Ancestral steps that add noise only above a floor.
/// struct Floored { eta: f64, floor: f64 }
/// impl<const D: usize> Sampler<D> for Floored {
///     type State = ();
///     fn step(
///         &self, cx: &mut Context<'_, D>, x: Tensor<D>, from: NoiseLevel, to: NoiseLevel, _: &mut (),
///     ) -> Tensor<D> {
///         let x0 = cx.denoise(x.clone(), from);
///         let eta = if to.sigma > self.floor { self.eta } else { 0.0 };
///         cx.reverse(x, x0, from, to, ddim_std(from, to, eta))
///     }
/// }
/// ```
#[doc(alias = "scheduler")]
pub trait Sampler<const D: usize> {
    /// What one step hands to the next: `()` if nothing.
    type State: Default + Clone;

    /// Moves x from level `from` to level `to`; x keeps its shape.
    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut Self::State,
    ) -> Tensor<D>;

    /// Refuses a shape of x, or levels, that the steps cannot do with. Asked once before a run; by
    /// default all is well. A sampler around another asks that one, too.
    fn check(&self, _shape: [usize; D], _levels: &Levels) -> Result<(), SamplingError> {
        Ok(())
    }
}

impl<const D: usize, S: Sampler<D>> Sampler<D> for &S {
    type State = S::State;
    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut Self::State,
    ) -> Tensor<D> {
        (**self).step(cx, x, from, to, state)
    }

    fn check(&self, shape: [usize; D], levels: &Levels) -> Result<(), SamplingError> {
        (**self).check(shape, levels)
    }
}
