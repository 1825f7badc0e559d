//! DPM-Solver++: multistep, in the predicted data.

use burn::tensor::Tensor;
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::multistep::{Move, nodes};
use crate::settings::{NonNegative, Order};
use crate::{Context, Ending, Extrapolate, History, Sampler, SamplingError, SolverType};

/// DPM-Solver++ of order 1 to 3, multistep, for the ODE and for the SDE with its noise scaled by η.
///
/// ```text
/// x' = e^(−ηh) (σ_to/σ_from) x + α_to (1 + η) ∫ e^((1+η)(λ − λ_to)) x̂₀(λ) dλ + c z
///    = reverse(x, Σ wᵢ x̂₀ᵢ, from → to; c),      c = σ_to √(1 − e^(−2ηh)),  h = λ_to − λ_from
/// ```
///
/// where x̂₀(λ) is the polynomial through the last predictions, which gives the weights w. One
/// model call per step; the state is the last `order` predictions, and the first steps are of lower
/// order.
///
/// The ODE is of the stated order, order 3 with [`SolverType::Exact`] (its default). The SDE is
/// stochastic; in mean and variance on Gaussian data it too is of the stated order. Order 1 is
/// [`Ddim`](crate::Ddim) at η = 0 and at η = 1. Order 2 is known as DPM++ 2M and DPM++ 2M SDE,
/// order 3 as 3M.
/// Source: Lu et al., *DPM-Solver++*, algorithm 2, arXiv 2211.01095.
///
/// ```
/// use ddm_samplers::{SolverType, DpmSolverPp, Ending};
/// assert_eq!(DpmSolverPp::new(2)?, DpmSolverPp::default());
/// let sampler = DpmSolverPp::sde(2, 1.0)?.solver_type(SolverType::Heun).ending(Ending::Keep);
/// assert!(DpmSolverPp::new(4).unwrap_err().to_string().contains("order is 4"));
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DpmSolverPp {
    order: Order,
    eta: NonNegative,
    solver_type: SolverType,
    ending: Ending,
}

impl DpmSolverPp {
    /// Creates the ODE solver of order 1, 2 or 3.
    ///
    /// # Errors
    /// Returns an error for any other order.
    pub fn new(order: usize) -> Result<Self, SamplingError> {
        Self::sde(order, 0.0)
    }

    /// Creates the SDE solver with its noise scaled by η ≥ 0: 0 is the ODE, 1 the reverse SDE.
    ///
    /// # Errors
    /// Returns an error if the order is not 1, 2 or 3, or if η is not finite and at least 0.
    pub fn sde(order: usize, eta: f64) -> Result<Self, SamplingError> {
        let solver_type = if order == 3 { SolverType::Exact } else { SolverType::Midpoint };
        let (order, eta) = (Order::new("order", order)?, NonNegative::new("eta", eta)?);
        Ok(Self { order, eta, solver_type, ending: Ending::default() })
    }

    /// Sets the weights: by default `Midpoint`, at order 3 `Exact`.
    #[must_use]
    pub fn solver_type(self, solver_type: SolverType) -> Self {
        Self { solver_type, ..self }
    }

    /// Sets the order towards the end of the run: by default lower in short runs.
    #[must_use]
    pub fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }
}

/// The ODE solver of order 2, known as 2M.
impl Default for DpmSolverPp {
    fn default() -> Self {
        let (solver_type, ending) = (SolverType::default(), Ending::default());
        Self { order: Order(2), eta: NonNegative(0.0), solver_type, ending }
    }
}

impl<const D: usize> Sampler<D> for DpmSolverPp {
    type State = History<D>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        history: &mut History<D>,
    ) -> Tensor<D> {
        let x0 = Extrapolate::Data.predict(cx, &x, from, history, self.order.0);
        let order = self.ending.cap(cx.done(), cx.steps());
        let nodes = nodes(history, order, from, to, NoiseLevel::lambda);
        let NonNegative(eta) = self.eta;
        let e = (1.0 + eta) * (to.lambda() - from.lambda());
        let weights = self.solver_type.weights(&nodes, e, eta > 0.0);
        let step = Move { from, to, c: kernel::sde_std(from, to, eta) };
        step.take(cx, x, x0, Extrapolate::Data.kind(), history, &weights)
    }

    fn order(&self) -> Option<usize> {
        Some(self.solver_type.order(self.order.0))
    }

    fn is_stochastic(&self) -> bool {
        self.eta.0 > 0.0
    }
}
