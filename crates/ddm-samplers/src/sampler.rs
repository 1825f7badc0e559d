//! The trait of samplers.

use auto_impl::auto_impl;
use burn::tensor::Tensor;
use ddm_schedule::{Levels, NoiseLevel, NoiseSchedule};

use crate::{Context, SamplingError};

/// A sampler: a method that moves x from one noise level to a less noisy one.
///
/// The sampler calls the model through the [`Context`] (pull, not push), so a method with several
/// model calls per step is straight-line code. It is a plain value, and `State` carries what one
/// step passes to the next. So a sampler can serve many runs at once, and a run can be cloned in
/// the middle.
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
///     fn is_stochastic(&self) -> bool {
///         self.eta > 0.0
///     }
/// }
/// ```
#[doc(alias = "scheduler")]
#[auto_impl(&, Box, Arc)]
pub trait Sampler<const D: usize>: Send + Sync {
    /// The state that one step passes to the next: `()` if there is none.
    type State: Default + Clone + Send;

    /// Moves x from level `from` to level `to`, without changing its shape.
    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut Self::State,
    ) -> Tensor<D>;

    /// Returns the order p: the error after n steps falls as n⁻ᵖ. For a stochastic sampler it is
    /// the error of mean and variance. `None` if the sampler does not solve an equation.
    fn order(&self) -> Option<usize> {
        Some(1)
    }

    /// Returns whether the steps draw noise.
    fn is_stochastic(&self) -> bool {
        false
    }

    /// Returns the number of model calls per step, in the middle of a run.
    fn calls(&self) -> usize {
        1
    }

    /// Checks that x of this shape can be sampled on these levels. Called once before a run. A
    /// sampler that wraps another also calls `check` of the inner one.
    ///
    /// # Errors
    /// Returns an error if the shape or the levels are invalid for the sampler.
    fn check(
        &self,
        shape: [usize; D],
        levels: &Levels,
        schedule: &dyn NoiseSchedule,
    ) -> Result<(), SamplingError> {
        let _ = (shape, levels, schedule);
        Ok(())
    }
}
