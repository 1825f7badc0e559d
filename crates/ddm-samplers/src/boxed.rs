//! Samplers chosen at run time.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;
use ddm_schedule::{Levels, NoiseLevel, NoiseSchedule};

use crate::{Context, Sampler, SamplingError};

/// A sampler of any type, for programs that choose it at run time.
///
/// It takes the same steps as the sampler in it. Clones share that sampler.
///
/// ```
/// use ddm_samplers::{BoxedSampler, Ddim, Ddpm};
/// let choose = |name: &str| -> BoxedSampler<4> {
///     match name {
///         "ddpm" => BoxedSampler::new(Ddpm::default()),
///         _ => BoxedSampler::new(Ddim::default()),
///     }
/// };
/// let sampler = choose("ddpm");
/// ```
pub struct BoxedSampler<const D: usize>(Arc<dyn Sampler<D, State = BoxedState>>);

impl<const D: usize> BoxedSampler<D> {
    /// Wraps `sampler`, whose type is erased.
    pub fn new<S>(sampler: S) -> Self
    where
        S: Sampler<D, State: 'static> + 'static,
    {
        Self(Arc::new(Erased(sampler)))
    }
}

impl<const D: usize> Clone for BoxedSampler<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<const D: usize> fmt::Debug for BoxedSampler<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxedSampler")
    }
}

/// The state of a [`BoxedSampler`]: the state of the sampler in it, from the first step on.
#[derive(Default)]
pub struct BoxedState(Option<Box<dyn State>>);

impl Clone for BoxedState {
    fn clone(&self) -> Self {
        Self(self.0.as_ref().map(|state| state.boxed_clone()))
    }
}

impl fmt::Debug for BoxedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxedState")
    }
}

/// A state that can be cloned without knowing its type.
trait State: Send {
    fn boxed_clone(&self) -> Box<dyn State>;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Clone + Send + 'static> State for T {
    fn boxed_clone(&self) -> Box<dyn State> {
        Box::new(self.clone())
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A sampler that keeps its state behind [`BoxedState`].
struct Erased<S>(S);

impl<const D: usize, S: Sampler<D, State: 'static>> Sampler<D> for Erased<S> {
    type State = BoxedState;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut BoxedState,
    ) -> Tensor<D> {
        let known = state.0.as_mut().is_some_and(|state| (**state).as_any().is::<S::State>());
        if !known {
            state.0 = Some(Box::new(S::State::default()));
        }
        match state.0.as_mut().and_then(|state| (**state).as_any().downcast_mut()) {
            Some(state) => self.0.step(cx, x, from, to, state),
            None => unreachable!("the state was made for this sampler above"),
        }
    }

    fn order(&self) -> Option<usize> {
        self.0.order()
    }

    fn is_stochastic(&self) -> bool {
        self.0.is_stochastic()
    }

    fn calls(&self) -> usize {
        self.0.calls()
    }

    fn check(
        &self,
        shape: [usize; D],
        levels: &Levels,
        schedule: &dyn NoiseSchedule,
    ) -> Result<(), SamplingError> {
        self.0.check(shape, levels, schedule)
    }
}

impl<const D: usize> Sampler<D> for BoxedSampler<D> {
    type State = BoxedState;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        state: &mut BoxedState,
    ) -> Tensor<D> {
        self.0.step(cx, x, from, to, state)
    }

    fn order(&self) -> Option<usize> {
        self.0.order()
    }

    fn is_stochastic(&self) -> bool {
        self.0.is_stochastic()
    }

    fn calls(&self) -> usize {
        self.0.calls()
    }

    fn check(
        &self,
        shape: [usize; D],
        levels: &Levels,
        schedule: &dyn NoiseSchedule,
    ) -> Result<(), SamplingError> {
        self.0.check(shape, levels, schedule)
    }
}
