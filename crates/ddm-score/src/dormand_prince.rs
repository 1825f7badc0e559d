//! The Dormand–Prince method of order 5(4), with a step size per sample.

use ddm_denoiser::read_back;

use crate::state::State;
use crate::{ScoreError, step_controller::StepController};

/// The nodes c, one per stage after the first.
const NODES: [f64; 6] = [1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];

/// The weights a. The last row is the solution of order 5, so that its slope, the last stage, is
/// the first stage of the next step.
const WEIGHTS: [&[f64]; 6] = [
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
    &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
    &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];

/// The solution of order 5 minus that of order 4.
const ERROR: [f64; 7] = [
    71.0 / 57600.0,
    0.0,
    -71.0 / 16695.0,
    71.0 / 1920.0,
    -17253.0 / 339200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

/// The method and its settings.
///
/// Source: Dormand & Prince, *A family of embedded Runge–Kutta formulae*, J. Comp. Appl. Math. 6
/// (1980); the norm and the first step as in Hairer, Nørsett & Wanner, *Solving Ordinary
/// Differential Equations I*, sec. II.4.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DormandPrince {
    /// The tolerance, both relative and absolute.
    pub(crate) tolerance: f64,
    /// The largest number of evaluations per sample.
    pub(crate) max_evaluations: usize,
}

/// The result of an integration.
#[derive(Debug)]
pub(crate) struct Arrival<S> {
    pub(crate) state: S,
    pub(crate) controllers: Vec<StepController>,
    /// The number of evaluations of the whole batch.
    pub(crate) calls: usize,
}

impl DormandPrince {
    /// Integrates `dy/dθ = slope(y, θ)` from `start` at θ = `from` to θ = `to`, up or down; `slope`
    /// takes one θ per sample.
    ///
    /// The steps of a sample depend on that sample alone. A sample that has arrived or given up
    /// stays in the batch with h = 0.
    pub(crate) async fn solve<S: State>(
        &self,
        start: S,
        batch: usize,
        [from, to]: [f64; 2],
        mut slope: impl FnMut(&S, &[f64]) -> Result<S, ScoreError>,
    ) -> Result<Arrival<S>, ScoreError> {
        let mut controllers = vec![StepController::new(from, to, self.max_evaluations); batch];
        let (mut state, mut calls) = (start, 0);
        if from == to {
            return Ok(Arrival { state, controllers, calls });
        }
        if self.max_evaluations < 2 {
            controllers.iter_mut().for_each(StepController::give_up);
            return Ok(Arrival { state, controllers, calls });
        }
        let mut first = slope(&state, &vec![from; batch])?;
        self.choose_first_steps(&state, &first, &mut controllers, &mut slope).await?;
        calls += 2;
        loop {
            let h: Vec<f64> = controllers.iter_mut().map(StepController::next_step).collect();
            if controllers.iter().all(StepController::is_done) {
                return Ok(Arrival { state, controllers, calls });
            }
            let mut slopes = vec![first.clone()];
            let mut after = state.clone();
            for (node, weights) in NODES.into_iter().zip(WEIGHTS) {
                let at: Vec<f64> =
                    controllers.iter().map(|controller| controller.part_of_step(node)).collect();
                after = state.advance(&h, sum(weights, &slopes));
                slopes.push(slope(&after, &at)?);
                calls += 1;
            }
            let errors = sum(&ERROR, &slopes).size(&state, &after);
            let errors = read_back("the errors of the steps", errors).await?;
            let taken: Vec<bool> = controllers
                .iter_mut()
                .zip(errors)
                .map(|(controller, error)| controller.judge(error / self.tolerance))
                .collect();
            state = state.replaced(after, &taken);
            first = first.replaced(slopes.swap_remove(6), &taken);
        }
    }

    /// Chooses the first h from the sizes of y, its slope and its curvature: one evaluation.
    async fn choose_first_steps<S: State>(
        &self,
        state: &S,
        first: &S,
        controllers: &mut [StepController],
        slope: &mut impl FnMut(&S, &[f64]) -> Result<S, ScoreError>,
    ) -> Result<(), ScoreError> {
        let of_state = read_back("the size of x", state.size(state, state)).await?;
        let of_slope = read_back("the size of the slope", first.size(state, state)).await?;
        let trial: Vec<f64> = controllers
            .iter()
            .zip(of_state.iter().zip(&of_slope))
            .map(|(controller, (y, k))| {
                controller.trial_step(y / self.tolerance, k / self.tolerance)
            })
            .collect();
        let at: Vec<f64> =
            controllers.iter().zip(&trial).map(|(controller, h)| controller.at + h).collect();
        let probed = slope(&state.advance(&trial, first.clone()), &at)?;
        let change = S::sum(&[(1.0, &probed), (-1.0, first)]).size(state, state);
        let change = read_back("the change of the slope", change).await?;
        for (i, controller) in controllers.iter_mut().enumerate() {
            let curvature = change[i] / trial[i].abs() / self.tolerance;
            controller.start(trial[i], of_slope[i] / self.tolerance, curvature);
        }
        Ok(())
    }
}

/// `Σ a_j k_j` without the terms of weight 0.
fn sum<S: State>(weights: &[f64], slopes: &[S]) -> S {
    let terms = weights.iter().copied().zip(slopes).filter(|&(weight, _)| weight != 0.0);
    S::sum(&terms.collect::<Vec<_>>())
}
