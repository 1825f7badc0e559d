//! The linear multistep method in σ/α.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::multistep::{Move, nodes};
use crate::settings::Order;
use crate::{Context, Extrapolate, History, Sampler, SamplingError, integral};

/// The linear multistep method of order 1 to 4 in ρ = σ/α: the Adams–Bashforth method for the ODE
/// `d(x/α)/dρ = ε̂`, with the true spacing of the levels.
///
/// ```text
/// x'/α_to = x/α_from + Σᵢ Cᵢ ε̂ᵢ,      Cᵢ = ∫ ℓᵢ(ρ) dρ from ρ_from to ρ_to
/// ```
///
/// One model call per step; deterministic, of the stated order; the state is the last `order`
/// predictions. It keeps its order down to σ = 0. Order 1 is [`Ddim`](crate::Ddim) and Euler; in
/// ln ρ it would be [`Deis`](crate::Deis). K-diffusion and diffusers call it LMS, at order 4.
/// Source: Karras et al., eq. 4 (the ODE), arXiv 2206.00364; Hairer et al., *Solving Ordinary
/// Differential Equations I*, sec. III.1 and III.5.
///
/// ```
/// use ddm_samplers::Lms;
/// assert_eq!(Lms::new(4)?, Lms::default());
/// assert!(Lms::new(5).is_err());
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lms {
    order: Order<4>,
}

impl Lms {
    /// Creates a sampler of order 1, 2, 3 or 4.
    ///
    /// # Errors
    /// Returns an error for any other order.
    pub fn new(order: usize) -> Result<Self, SamplingError> {
        Ok(Self { order: Order::new("order", order)? })
    }
}

/// The method of order 4.
impl Default for Lms {
    fn default() -> Self {
        Self { order: Order(4) }
    }
}

impl<const D: usize> Sampler<D> for Lms {
    type State = History<D>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        history: &mut History<D>,
    ) -> Tensor<D> {
        let x0 = Extrapolate::Noise.predict(cx, &x, from, history, self.order.0);
        let nodes = nodes(history, self.order.0, from, to, |at| at.sigma / at.alpha);
        let weights = integral::weights(&nodes, integral::moments(0.0));
        Move { from, to, c: 0.0 }.take(cx, x, x0, Extrapolate::Noise.kind(), history, &weights)
    }

    fn order(&self) -> Option<usize> {
        Some(self.order.0)
    }
}
