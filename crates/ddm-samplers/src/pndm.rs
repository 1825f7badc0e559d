//! PNDM: pseudo numerical methods for diffusion models on manifolds.

use burn::tensor::Tensor;
use ddm_denoiser::{EpsilonPrediction, Parameterization, linear_combination};
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::multistep::Move;
use crate::prediction::{prediction_of, x0_of};
use crate::{Context, History, Sampler, integral};

/// The PNDM sampler: classical methods for even steps, with the reverse kernel as their transfer.
///
/// After its first steps it is PLMS, `ε̄ = (55 ε̂₀ − 59 ε̂₁ + 37 ε̂₂ − 9 ε̂₃)/24` inserted as
/// `x̂₀ = (x − σ ε̄)/α`: one model call per step. [`PndmStart`] sets the first steps.
/// Deterministic; order 2, since the steps are not even in σ/α; the state is the last four
/// predictions. [`Ipndm`](crate::Ipndm) has no special first steps. Source: Liu et al., *Pseudo
/// Numerical Methods for Diffusion Models on Manifolds*, algorithm 2, arXiv 2202.09778.
///
/// ```
/// use ddm_samplers::{Pndm, PndmStart};
/// let sampler: Pndm = Pndm { start: PndmStart::RungeKutta, ..Pndm::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pndm<P = EpsilonPrediction> {
    /// The method of the first steps.
    pub start: PndmStart,
    /// The averaged quantity: ε̂, or what the network predicts (in diffusers v, if it predicts v).
    pub parameterization: P,
}

/// The method of the first steps of [`Pndm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PndmStart {
    /// One step with the mean of ε̂ at both ends (two model calls), then the multistep methods of
    /// two and three predictions (`skip_prk_steps` of diffusers).
    #[default]
    Heun,
    /// Three steps of the classical Runge–Kutta method (four model calls each), with the
    /// midpoint in time.
    RungeKutta,
}

/// The Adams–Bashforth weights of 1 to 4 evenly spaced predictions, newest first.
pub(crate) fn adams_bashforth(predictions: usize) -> Vec<f64> {
    integral::weights(&[0.0, -1.0, -2.0, -3.0][..predictions], integral::moments(0.0))
}

impl<const D: usize, P: Parameterization> Sampler<D> for Pndm<P> {
    type State = History<D>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        history: &mut History<D>,
    ) -> Tensor<D> {
        let kind = &self.parameterization;
        let x0 = cx.denoise(x.clone(), from);
        let first = prediction_of(kind, x.clone(), x0.clone(), from);
        history.push(from, first.clone(), 4);
        // At the ends of the schedule ε̂ and x̂₀ do not determine each other.
        let inside = from.alpha > 0.0 && to.sigma > 0.0 && cx.steps() > 1;
        let starts = match self.start {
            PndmStart::Heun => history.len() == 1,
            PndmStart::RungeKutta => history.len() < 4,
        };
        if !starts || !inside {
            let weights = if starts { vec![1.0] } else { adams_bashforth(history.len()) };
            return Move { from, to, c: 0.0 }.take(cx, x, x0, kind, history, &weights);
        }
        let mean = match self.start {
            PndmStart::Heun => {
                let second = slope(kind, cx, &x, first.clone(), from, to);
                linear_combination([(0.5, first), (0.5, second)])
            }
            PndmStart::RungeKutta => {
                let middle = cx.level_at_timestep(0.5 * (from.timestep + to.timestep));
                let second = slope(kind, cx, &x, first.clone(), from, middle);
                let third = slope(kind, cx, &x, second.clone(), from, middle);
                let fourth = slope(kind, cx, &x, third.clone(), from, to);
                let (outer, inner) = (1.0 / 6.0, 1.0 / 3.0);
                let slopes = [(outer, first), (inner, second), (inner, third), (outer, fourth)];
                linear_combination(slopes)
            }
        };
        let x0 = x0_of(kind, x.clone(), mean, from);
        cx.reverse(x, x0, from, to, 0.0)
    }

    fn order(&self) -> Option<usize> {
        Some(2)
    }
}

/// The prediction at level `to`, after a step from level `from` with `prediction`.
fn slope<const D: usize>(
    kind: &dyn Parameterization,
    cx: &mut Context<'_, D>,
    x: &Tensor<D>,
    prediction: Tensor<D>,
    from: NoiseLevel,
    to: NoiseLevel,
) -> Tensor<D> {
    let x0 = x0_of(kind, x.clone(), prediction, from);
    let there = cx.reverse(x.clone(), x0, from, to, 0.0);
    let x0 = cx.denoise(there.clone(), to);
    prediction_of(kind, there, x0, to)
}
