//! DPM-Solver: multistep, in the predicted noise.

use std::iter;

use burn::tensor::Tensor;
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::multistep::{Move, nodes};
use crate::settings::Order;
use crate::{Context, Ending, Extrapolate, History, Sampler, SamplingError, SolverType};

/// DPM-Solver of order 1 to 3, multistep, for the ODE written in the noise and for the SDE.
///
/// ```text
/// ODE: x' = (α_to/α_from) x − σ_to (e^h − 1) ε̄
/// SDE: x' = (α_to/α_from) x − 2 σ_to (e^h − 1) ε̄ + σ_to √(e^(2h) − 1) z
/// ```
///
/// where ε̄ is the mean, under `e^(−λ)`, of the polynomial through the last ε̂. The ODE is the
/// reverse kernel with the x̂₀ that ε̄ implies. The SDE is not ([`kernel::noise_sde`]); where its
/// factors are undefined (σ_to = 0, α_from = 0) it takes the ancestral step.
///
/// One model call per step; the state is the last `order` predictions. The ODE is of the stated
/// order, order 3 with [`SolverType::Exact`] (its default, and the same as [`Deis`](crate::Deis));
/// order 1 is [`Ddim`](crate::Ddim). The SDE, in mean and variance on Gaussian data, is of order 1,
/// 2 and 2 (measured 1.0, 1.9 and 1.8): a third prediction only makes the error smaller. For guided
/// or few-step sampling prefer [`DpmSolverPp`](crate::DpmSolverPp). Source: Lu et al.,
/// *DPM-Solver*, eq. 3.4 and prop. 3.1, arXiv 2206.00927; the SDE: Lu et al.,
/// *DPM-Solver++*, arXiv 2211.01095.
///
/// ```
/// use ddm_samplers::DpmSolver;
/// let (ode, sde) = (DpmSolver::new(2)?, DpmSolver::sde(2)?);
/// assert!(DpmSolver::new(4).unwrap_err().to_string().contains("order is 4"));
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DpmSolver {
    order: Order,
    stochastic: bool,
    solver_type: SolverType,
    ending: Ending,
}

impl DpmSolver {
    /// Creates the ODE solver of order 1, 2 or 3.
    ///
    /// # Errors
    /// Returns an error for any other order.
    pub fn new(order: usize) -> Result<Self, SamplingError> {
        let solver_type = if order == 3 { SolverType::Exact } else { SolverType::Midpoint };
        let (order, ending) = (Order::new("order", order)?, Ending::default());
        Ok(Self { order, stochastic: false, solver_type, ending })
    }

    /// Creates the SDE solver that combines the last 1 to 3 predictions.
    ///
    /// # Errors
    /// Returns an error for any other number.
    pub fn sde(order: usize) -> Result<Self, SamplingError> {
        Ok(Self { stochastic: true, ..Self::new(order)? })
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

impl<const D: usize> Sampler<D> for DpmSolver {
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
        let order = self.ending.cap(cx.done(), cx.steps());
        let nodes = nodes(history, order, from, to, NoiseLevel::lambda);
        let h = to.lambda() - from.lambda();
        let weights = self.solver_type.weights(&nodes, -h, false);
        if !self.stochastic {
            let step = Move { from, to, c: 0.0 };
            return step.take(cx, x, x0, Extrapolate::Noise.kind(), history, &weights);
        }
        if !h.is_finite() {
            return cx.reverse(x, x0, from, to, kernel::sde_std(from, to, 1.0));
        }
        let [of_x, of_noise, of_z] = kernel::noise_sde(from, to, 1.0);
        let predictions = history.terms(&weights, of_noise);
        cx.combine(iter::once((of_x, x)).chain(predictions), of_z)
    }

    fn order(&self) -> Option<usize> {
        // A third prediction only makes the error of the SDE smaller.
        let order = self.solver_type.order(self.order.0);
        Some(if self.stochastic { order.min(2) } else { order })
    }

    fn is_stochastic(&self) -> bool {
        self.stochastic
    }
}
