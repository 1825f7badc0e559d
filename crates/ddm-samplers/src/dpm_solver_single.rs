//! DPM-Solver and DPM-Solver++, singlestep.

use burn::tensor::Tensor;
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::multistep::{Move, nodes};
use crate::settings::{NonNegative, Order};
use crate::{Context, Ending, Extrapolate, History, Sampler, SamplingError, SolverType, integral};

/// DPM-Solver++ of order 1 to 3, singlestep, whose inner points are the levels of the grid.
///
/// The run is cut into blocks of `order` steps. Every step of a block restarts from the x at the
/// block's start, and combines all predictions of the block so far:
///
/// ```text
/// x' = reverse(x_start, Σ wᵢ x̂₀ᵢ, start → to; c),      c = σ_to √(1 − e^(−2ηH)),  H = λ_to − λ_start
/// ```
///
/// so that the steps inside a block are the inner points of a Runge–Kutta method. One model call
/// per step; the state is the block's first x and its predictions. The ODE is of the stated order
/// in runs of whole blocks, where [`Ending::Keep`] keeps the last one whole. [`sde`](Self::sde)
/// adds noise as [`DpmSolverPp::sde`](crate::DpmSolverPp::sde) does, fresh at each inner point, and
/// so is of weak order 1. Inside [`RePaint`](crate::RePaint) jump by whole blocks: changes to x
/// within a block are lost, since its steps restart from its first x. Source: Lu et al.,
/// *DPM-Solver*, algorithms 1–2, arXiv 2206.00927; *DPM-Solver++*, algorithm 1, arXiv 2211.01095.
///
/// ```
/// use ddm_samplers::{DpmSolverSingle, Ending};
/// let sampler = DpmSolverSingle::new(3)?.ending(Ending::Keep);
/// assert!(DpmSolverSingle::new(4).is_err());
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DpmSolverSingle {
    order: Order,
    extrapolate: Extrapolate,
    eta: NonNegative,
    solver_type: SolverType,
    ending: Ending,
}

impl DpmSolverSingle {
    /// Creates the ODE solver of order 1, 2 or 3.
    ///
    /// # Errors
    /// Returns an error for any other order.
    pub fn new(order: usize) -> Result<Self, SamplingError> {
        Self::sde(order, 0.0)
    }

    /// Creates the SDE solver with its noise scaled by η ≥ 0.
    ///
    /// # Errors
    /// Returns an error if the order is not 1, 2 or 3, or if η is not finite and at least 0.
    pub fn sde(order: usize, eta: f64) -> Result<Self, SamplingError> {
        let (order, eta) = (Order::new("order", order)?, NonNegative::new("eta", eta)?);
        let (extrapolate, solver_type, ending) = Default::default();
        Ok(Self { order, extrapolate, eta, solver_type, ending })
    }

    /// Sets the interpolated quantity: x̂₀ (DPM-Solver++, the default) or ε̂ (DPM-Solver).
    #[must_use]
    pub fn extrapolate(self, extrapolate: Extrapolate) -> Self {
        Self { extrapolate, ..self }
    }

    /// Sets the weights. `Midpoint` (the default): at order 2 the slope has weight ½; at order 3
    /// the slope between the block's first and newest prediction is integrated. `Heun` and `Exact`:
    /// the polynomial through all predictions is integrated, but at order 3 of the SDE `Heun` has
    /// diffusers' wrong sign of the curvature.
    #[must_use]
    pub fn solver_type(self, solver_type: SolverType) -> Self {
        Self { solver_type, ..self }
    }

    /// Sets the ending. By default a whole block at the end of the run is cut short, so that the
    /// last step is of order 1. `Keep` keeps it whole. With the others the last step is always of
    /// order 1. A step to σ = 0 is of order 1 in any case.
    #[must_use]
    pub fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }

    /// The order of step `done` of `steps`, which is its place in its block.
    fn order_at(&self, done: usize, steps: usize) -> usize {
        let place = done % self.order.0 + 1;
        let last = done + 1 >= steps;
        match self.ending {
            Ending::Lower if last && place == self.order.0 => 1,
            Ending::Euler | Ending::LowerAndEuler if last => 1,
            _ => place,
        }
    }

    fn weights(&self, nodes: &[f64], e: f64) -> Vec<f64> {
        let mut moments = integral::moments(e);
        if self.solver_type == SolverType::Heun && nodes.len() == 3 && self.eta.0 > 0.0 {
            moments[2] = -moments[2] - 4.0 * moments[1] / e;
        }
        match (self.solver_type, nodes) {
            (SolverType::Midpoint, [newest, _, first]) => {
                let ends = integral::weights(&[*newest, *first], moments);
                vec![ends[0], 0.0, ends[1]]
            }
            (solver_type, [_] | [_, _]) => solver_type.weights(nodes, e, false),
            _ => integral::weights(nodes, moments),
        }
    }
}

/// The state of [`DpmSolverSingle`]: x at the start of the block, the level reached, and the
/// predictions.
#[derive(Clone, Debug)]
pub struct Block<const D: usize> {
    start: Option<(NoiseLevel, Tensor<D>, NoiseLevel)>,
    predictions: History<D>,
}

impl<const D: usize> Default for Block<D> {
    fn default() -> Self {
        Self { start: None, predictions: History::default() }
    }
}

impl<const D: usize> Sampler<D> for DpmSolverSingle {
    type State = Block<D>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        block: &mut Block<D>,
    ) -> Tensor<D> {
        // λ must be finite at both ends of a block, and x must be at the level the last step
        // reached.
        let inside = self.order_at(cx.done(), cx.steps()) > 1 && to.sigma > 0.0;
        let (start, x_start) = match block.start.take() {
            Some((start, x_start, at)) if inside && start.alpha > 0.0 && at == from => {
                (start, x_start)
            }
            _ => {
                block.predictions = History::default();
                (from, x.clone())
            }
        };
        let x0 = self.extrapolate.predict(cx, &x, from, &mut block.predictions, self.order.0);
        let nodes = nodes(&block.predictions, self.order.0, start, to, NoiseLevel::lambda);
        let h = to.lambda() - start.lambda();
        let e = match self.extrapolate {
            Extrapolate::Data => (1.0 + self.eta.0) * h,
            Extrapolate::Noise => -h,
        };
        let weights = self.weights(&nodes, e);
        block.start = Some((start, x_start.clone(), to));
        let step = Move { from: start, to, c: kernel::sde_std(start, to, self.eta.0) };
        step.take(cx, x_start, x0, self.extrapolate.kind(), &block.predictions, &weights)
    }

    fn order(&self) -> Option<usize> {
        Some(if self.eta.0 > 0.0 { 1 } else { self.order.0 })
    }

    fn is_stochastic(&self) -> bool {
        self.eta.0 > 0.0
    }
}
