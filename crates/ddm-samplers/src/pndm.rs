//! PNDM: pseudo numerical methods on the manifold of the diffusion.

use burn::tensor::Tensor;
use ddm_denoiser::EpsilonPrediction;
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::answer::{answer_of, x0_of};
use crate::multistep::Move;
use crate::{Answer, Context, History, Sampler, integral};

/// PNDM: classical methods for even steps, with the reverse kernel as their transfer.
///
/// After its start it is PLMS, `ε̄ = (55 ε̂₀ − 59 ε̂₁ + 37 ε̂₂ − 9 ε̂₃)/24` plugged in as
/// `x̂₀ = (x − σ ε̄)/α`: one model call a step. How it starts, [`PndmStart`] says. Deterministic;
/// order 2, since the steps are not even in σ/α; the state is the last four answers.
/// [`Ipndm`](crate::Ipndm) does without the start.
/// Source: Liu et al., *Pseudo Numerical Methods for Diffusion Models on Manifolds*, algorithm 2,
/// arXiv 2202.09778.
///
/// ```
/// use ddm_samplers::{Pndm, PndmStart};
/// let sampler = Pndm { start: PndmStart::RungeKutta };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pndm {
    /// How the first steps are taken.
    pub start: PndmStart,
}

/// The first steps of [`Pndm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PndmStart {
    /// One step with the mean of ε̂ at both its ends (two model calls), then the multistep methods
    /// of two and three answers. Diffusers calls it `skip_prk_steps`.
    #[default]
    Heun,
    /// Three steps of the classical Runge–Kutta method (four model calls each), halfway in time.
    RungeKutta,
}

/// Adams and Bashforth's weights for 1 to 4 evenly spaced answers, newest first.
pub(crate) fn adams_bashforth(answers: usize) -> Vec<f64> {
    integral::weights(&[0.0, -1.0, -2.0, -3.0][..answers], integral::moments(0.0))
}

impl<const D: usize> Sampler<D> for Pndm {
    type State = History<D>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        history: &mut History<D>,
    ) -> Tensor<D> {
        let x0 = Answer::Noise.ask(cx, &x, from, history, 4);
        // At the ends of the schedule ε̂ and x̂₀ do not follow from each other.
        let inside = from.alpha > 0.0 && to.sigma > 0.0;
        let starts = match self.start {
            PndmStart::Heun => history.len() == 1,
            PndmStart::RungeKutta => history.len() < 4,
        };
        if !starts || !inside {
            let weights = if starts { vec![1.0] } else { adams_bashforth(history.len()) };
            let step = Move { from, to, c: 0.0 };
            return step.take(cx, x, x0, Answer::Noise, history, &weights);
        }
        let first = history.answer(0);
        let mean = match self.start {
            PndmStart::Heun => (first.clone() + slope(cx, &x, first, from, to)) * 0.5,
            PndmStart::RungeKutta => {
                let middle = cx.level_at_timestep(0.5 * (from.t + to.t));
                let second = slope(cx, &x, first.clone(), from, middle);
                let third = slope(cx, &x, second.clone(), from, middle);
                let fourth = slope(cx, &x, third.clone(), from, to);
                (first + (second + third) * 2.0 + fourth) * (1.0 / 6.0)
            }
        };
        let x0 = x0_of(&EpsilonPrediction, x.clone(), mean, from);
        cx.reverse(x, x0, from, to, 0.0)
    }
}

/// ε̂ at level `to`, where x gets to from level `from` if the noise in it is `noise`.
fn slope<const D: usize>(
    cx: &mut Context<'_, D>,
    x: &Tensor<D>,
    noise: Tensor<D>,
    from: NoiseLevel,
    to: NoiseLevel,
) -> Tensor<D> {
    let x0 = x0_of(&EpsilonPrediction, x.clone(), noise, from);
    let there = cx.reverse(x.clone(), x0, from, to, 0.0);
    let x0 = cx.denoise(there.clone(), to);
    answer_of(&EpsilonPrediction, there, x0, to)
}
