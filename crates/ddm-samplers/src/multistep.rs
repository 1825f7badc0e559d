//! What the multistep methods have in common.
//!
//! Each remembers its last answers, gives them weights that add up to 1, and plugs the weighted sum
//! into the reverse kernel. The weights are those of an integral over the step: of the polynomial
//! through the answers, times an exponential that the kernel itself brings along
//! (`crate::integral`). A method is a choice of answer, of coordinate, and of exponential.

use burn::tensor::Tensor;
use ddm_denoiser::{EpsilonPrediction, Parameterization, X0Prediction};
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::prediction::prediction_of;
use crate::{Context, History, integral};

/// How the solvers of the DPM family weigh what they remember.
///
/// With x̂₀ = m₀ + s m₁ + s² m₂ along the step (s from 0 to 1), exact weights are those of
/// `∫ e^(es) x̂₀ ds`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SolverType {
    /// The slope m₁ counts half, as at the middle of the step: the published DPM-Solver++(2M).
    #[default]
    Midpoint,
    /// The slope is integrated exactly.
    Heun,
    /// Slope and curvature are integrated exactly; at order 2 the same as `Heun`.
    ///
    /// At order 3 the published programs (diffusers and DPM-Solver's own) differ, and `Midpoint`
    /// and `Heun` follow diffusers: the slope is integrated, but the curvature counts half, which
    /// leaves an error of order 2, and on the SDE it counts with the wrong sign. So order 3 wants
    /// `Exact`, and replays want the others.
    Exact,
}

impl SolverType {
    /// The order of a multistep solver that combines so many predictions with these weights.
    pub(crate) fn order(self, predictions: usize) -> usize {
        if self == Self::Exact { predictions } else { predictions.min(2) }
    }

    /// Weights for answers at `nodes`, newest first, with the exponential's rate `e`.
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

/// What order a multistep method keeps towards the end of a run.
///
/// Whatever this says, a step to σ = 0 is of order 1 where h = λ_to − λ_from would be infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Its own.
    Keep,
    /// Lower in runs of under 15 steps: 1 in the last step, at most 2 in the one before.
    /// (`lower_order_final` of diffusers.)
    #[default]
    Lower,
    /// 1 in the last step (`euler_at_final`).
    Euler,
    /// As `Lower`, and in runs of 15 steps and more as `Euler`.
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

/// What is remembered of a model's answer, and so what is interpolated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extrapolate {
    /// x̂₀.
    #[default]
    Data,
    /// ε̂ = (x − α x̂₀)/σ.
    Noise,
}

impl Extrapolate {
    /// Calls the model, remembers its answer among the last `keep`, and gives x̂₀ itself.
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
    /// The reverse kernel on x with the weighted sum of the answers plugged in: as x̂₀, or as the x̂₀
    /// that it implies. Where one answer has all the weight, the model's own `x0`.
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
        // Sorted by x and answers on the host: one multiplication less for each tensor.
        let (a, b) = kind.x0_from(from);
        let (of_x, of_prediction) = (step.x + step.x0 * a, step.x0 * b);
        let weights: Vec<f64> = weights.iter().map(|weight| weight * of_prediction).collect();
        let mean = history.add_to(x * of_x, &weights);
        cx.add_noise(mean, step.noise)
    }
}

/// Where the remembered answers lie on the way from level `from` (0) to level `to` (1) in a
/// coordinate, newest first, at most `order`; only the newest where that is not finite.
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
