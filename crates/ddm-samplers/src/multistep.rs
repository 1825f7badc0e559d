//! The common part of the multistep methods.
//!
//! Each stores its last predictions, gives them weights that add up to 1, and inserts the weighted
//! sum into the reverse kernel. The weights are those of an integral over the step: of the
//! polynomial through the predictions, times an exponential that comes from the kernel
//! (`crate::integral`). A method is a choice of prediction, of coordinate, and of exponential.

use std::iter;

use burn::tensor::Tensor;
use ddm_denoiser::{EpsilonPrediction, Parameterization, X0Prediction};
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::prediction::prediction_of;
use crate::{Context, History, integral};

/// The weights of past predictions in the solvers of the DPM family.
///
/// With x̂₀ = m₀ + s m₁ + s² m₂ along the step (s from 0 to 1), exact weights are those of
/// `∫ e^(es) x̂₀ ds`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SolverType {
    /// The slope m₁ has weight ½, as at the midpoint of the step: the published DPM-Solver++(2M).
    #[default]
    Midpoint,
    /// The slope is integrated exactly.
    Heun,
    /// The slope and the curvature are integrated exactly; at order 2 the same as `Heun`.
    ///
    /// At order 3 the published implementations (diffusers and DPM-Solver's) differ, and `Midpoint`
    /// and `Heun` follow diffusers: the slope is integrated, but the curvature is halved, which
    /// leaves an error of order 2, and for the SDE it has the wrong sign. So use `Exact` at order
    /// 3, and the others to reproduce diffusers.
    Exact,
}

impl SolverType {
    /// The order of a multistep solver that combines `predictions` predictions with these weights.
    pub(crate) fn order(self, predictions: usize) -> usize {
        if self == Self::Exact { predictions } else { predictions.min(2) }
    }

    /// The weights of predictions at `nodes`, newest first, with the exponential's rate `e`.
    pub(crate) fn weights(self, nodes: &[f64], e: f64, noisy: bool) -> Vec<f64> {
        if nodes.len() < 2 {
            return vec![1.0];
        }
        let mut moments = integral::moments(e);
        match (self, nodes.len()) {
            (Self::Midpoint, 2) => moments[1] = 0.5,
            (Self::Midpoint | Self::Heun, 3) if noisy => {
                moments[2] = -0.5 * moments[2] - 2.0 * moments[1] / e;
            }
            (Self::Midpoint | Self::Heun, 3) => moments[2] *= 0.5,
            _ => {}
        }
        integral::weights(nodes, moments)
    }
}

/// The order of a multistep method towards the end of a run.
///
/// In every case, a step to σ = 0 is of order 1 where h = λ_to − λ_from would be infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The order of the method.
    Keep,
    /// A lower order in runs of fewer than 15 steps: 1 in the last step, at most 2 in the one
    /// before (`lower_order_final` of diffusers).
    #[default]
    Lower,
    /// Order 1 in the last step (`euler_at_final` of diffusers).
    Euler,
    /// As `Lower` in runs of fewer than 15 steps, and as `Euler` in longer ones.
    LowerAndEuler,
}

impl Ending {
    /// The highest order allowed in step `done` (from 0) of `steps`.
    pub(crate) fn cap(self, done: usize, steps: usize) -> usize {
        let short = matches!(self, Self::Lower | Self::LowerAndEuler) && steps < 15;
        let euler = matches!(self, Self::Euler | Self::LowerAndEuler);
        match steps.saturating_sub(done) {
            1 if short || euler => 1,
            2 if short => 2,
            _ => usize::MAX,
        }
    }
}

/// The form in which predictions are stored, and so the quantity that is interpolated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extrapolate {
    /// x̂₀.
    #[default]
    Data,
    /// ε̂ = (x − α x̂₀)/σ.
    Noise,
}

impl Extrapolate {
    /// Calls the model, stores its prediction among the last `keep`, and returns x̂₀.
    pub(crate) fn predict<const D: usize>(
        self,
        cx: &mut Context<'_, D>,
        x: &Tensor<D>,
        at: NoiseLevel,
        history: &mut History<D>,
        keep: usize,
    ) -> Tensor<D> {
        let x0 = cx.denoise(x.clone(), at);
        history.push(at, prediction_of(self.kind(), x.clone(), x0.clone(), at), keep);
        x0
    }

    pub(crate) fn kind(self) -> &'static dyn Parameterization {
        match self {
            Self::Data => &X0Prediction,
            Self::Noise => &EpsilonPrediction,
        }
    }
}

/// A reverse step, with noise std c.
pub(crate) struct Move {
    pub(crate) from: NoiseLevel,
    pub(crate) to: NoiseLevel,
    pub(crate) c: f64,
}

impl Move {
    /// The reverse kernel on x with the weighted sum of the predictions, as x̂₀ or as the x̂₀ that
    /// it implies. With a single prediction, the model's `x0` is used.
    pub(crate) fn take<const D: usize>(
        self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        x0: Tensor<D>,
        kind: &dyn Parameterization,
        history: &History<D>,
        weights: &[f64],
    ) -> Tensor<D> {
        let Self { from, to, c } = self;
        if weights.len() < 2 {
            return cx.reverse(x, x0, from, to, c);
        }
        let step = kernel::reverse(from, to, c);
        // Sorted by x and predictions on the host: one pass over them.
        let (a, b) = kind.x0_from(from);
        let (of_x, of_prediction) = (step.x + step.x0 * a, step.x0 * b);
        let predictions = history.terms(weights, of_prediction);
        cx.combine(iter::once((of_x, x)).chain(predictions), step.noise)
    }
}

/// The positions of at most `order` stored predictions, newest first, in a coordinate that is 0 at
/// level `from` and 1 at level `to`; only the newest if that is not finite.
pub(crate) fn nodes<const D: usize>(
    history: &History<D>,
    order: usize,
    from: NoiseLevel,
    to: NoiseLevel,
    coordinate: fn(&NoiseLevel) -> f64,
) -> Vec<f64> {
    let (here, there) = (coordinate(&from), coordinate(&to));
    if !(there - here).is_finite() {
        return vec![0.0];
    }
    let place = |level| (coordinate(&level) - here) / (there - here);
    history.levels().take(order).map(place).take_while(|place| place.is_finite()).collect()
}
