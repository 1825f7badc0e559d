//! Heun's method: the mean of the slopes at both ends.

use burn::tensor::Tensor;
use ddm_denoiser::{EpsilonPrediction, FlowPrediction, Parameterization, linear_combination};
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::prediction::prediction_from;
use crate::{Context, Sampler};

/// Heun's method: an Euler step, a second model call at its end, and the step again with the mean
/// of the two slopes. A step to σ = 0 is an Euler step.
///
/// Two model calls per step, one in the last; order 2 (measured 2.0); no state. Source: Karras et
/// al., *Elucidating the Design Space of Diffusion-Based Generative Models*, algorithm 1,
/// arXiv 2206.00364; its algorithm 2 is [`Churn`](crate::Churn) around this sampler.
///
/// ```
/// use ddm_samplers::{Heun, Slope};
/// assert_eq!(Heun::default().slope, Slope::Noise);
/// let flow = Heun { slope: Slope::Velocity };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heun {
    /// The slope that is averaged.
    pub slope: Slope,
}

/// The slope of the ODE, in one of two pairs of coordinates.
///
/// Euler's step is the same in both; means of slopes are not. Both are of order 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slope {
    /// `dy/ds = ε̂` with y = x/α, s = σ/α: the slope of EDM and k-diffusion. It is undefined where
    /// α_from = 0, and the step is Euler's there.
    #[default]
    Noise,
    /// `dy/ds = ε̂ − x̂₀` with y = x/(α + σ), s = σ/(α + σ): on the straight path, where α + σ = 1,
    /// the velocity dx/dt. For flow matching.
    Velocity,
}

impl Slope {
    fn kind(self) -> &'static dyn Parameterization {
        match self {
            Self::Noise => &EpsilonPrediction,
            Self::Velocity => &FlowPrediction,
        }
    }
}

impl<const D: usize> Sampler<D> for Heun {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        _: &mut (),
    ) -> Tensor<D> {
        let kind = self.slope.kind();
        let (a, b) = kind.x0_from(from);
        let x0 = cx.denoise(x.clone(), from);
        let end = cx.reverse(x.clone(), x0.clone(), from, to, 0.0);
        if to.sigma == 0.0 || !b.is_finite() {
            return end;
        }
        let x0_end = cx.denoise(end.clone(), to);
        // The reverse kernel with x̂₀ = a x + b (slope + slope at the end)/2, sorted by tensors.
        let (step, half) = (kernel::reverse(from, to, 0.0), 0.5 * b);
        let ((x_in, x0_in), (end_in, x0_end_in)) =
            (prediction_from(kind, from), prediction_from(kind, to));
        let of_x = step.x + step.x0 * (a + half * x_in);
        let of = |factor: f64| step.x0 * half * factor;
        let at_end = [(of(end_in), end), (of(x0_end_in), x0_end)];
        linear_combination([(of_x, x), (of(x0_in), x0)].into_iter().chain(at_end))
    }

    fn order(&self) -> Option<usize> {
        Some(2)
    }

    fn calls(&self) -> usize {
        2
    }
}
