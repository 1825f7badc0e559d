//! PNDM on the rows of diffusers.

use burn::tensor::Tensor;
use ddm_denoiser::{Parameterization, linear_combination};
use ddm_samplers::{Context, Sampler};
use ddm_schedule::NoiseLevel;

use crate::Prediction;
use crate::walk::Walk;

/// The Adams–Bashforth weights of 1 to 4 predictions, newest first.
const WEIGHTS: [&[f64]; 4] = [
    &[1.0],
    &[3.0 / 2.0, -1.0 / 2.0],
    &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
    &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// A [`Pndm`](ddm_samplers::Pndm) whose steps move ⌊T/n⌋ rows down and call the network at rows.
/// It averages the predictions of the network.
///
/// Source: Liu et al., *Pseudo Numerical Methods for Diffusion Models on Manifolds*, algorithm 2,
/// arXiv 2202.09778.
#[derive(Clone, Debug)]
pub(crate) struct RowPndm {
    pub(crate) walk: Walk,
    pub(crate) predicts: Prediction,
    /// Whether the run starts with one step of Heun's method instead of three Runge–Kutta steps.
    pub(crate) skip_prk: bool,
}

impl RowPndm {
    /// Returns F of one model call; x̂₀ is linear in F.
    fn predict<const D: usize>(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        at: NoiseLevel,
    ) -> Tensor<D> {
        let (p, q) = self.predicts.target(at);
        let x0 = cx.denoise(x.clone(), at);
        linear_combination([(q / at.sigma, x), (p - q * at.alpha / at.sigma, x0)])
    }

    /// Moves x by F, without noise.
    fn move_by<const D: usize>(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        prediction: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
    ) -> Tensor<D> {
        let (a, b) = self.predicts.x0_from(from);
        let x0 = linear_combination([(a, x.clone()), (b, prediction)]);
        cx.reverse(x, x0, from, to, 0.0)
    }
}

impl<const D: usize> Sampler<D> for RowPndm {
    type State = Vec<Tensor<D>>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        newest_first: &mut Vec<Tensor<D>>,
    ) -> Tensor<D> {
        let stride = self.walk.stride(cx.steps());
        let end = self.walk.below(from.timestep, stride);
        let first = self.predict(cx, x.clone(), from);
        newest_first.insert(0, first.clone());
        newest_first.truncate(4);
        let predictions = newest_first.len();
        let rest = self.walk.is_rest(cx.steps());
        if self.skip_prk && predictions == 1 && (rest || cx.steps() > 1) {
            // The rest of a run lacks the row of the second call, see `SchedulerConfig::levels_from`.
            let at_second = rest && cx.steps() > 1;
            let to = if at_second { self.walk.above(to.timestep, stride) } else { to };
            let there = self.move_by(cx, x.clone(), first.clone(), from, end);
            let second = self.predict(cx, there, to);
            let start = self.walk.above(to.timestep, stride);
            let mean = linear_combination([(0.5, first), (0.5, second)]);
            return self.move_by(cx, x, mean, start, to);
        }
        if !self.skip_prk && predictions < 4 {
            let half = stride / 2;
            let middle = self.walk.above(to.timestep, half);
            let below = self.walk.below(from.timestep, half);
            let there = self.move_by(cx, x.clone(), first.clone(), from, below);
            let second = self.predict(cx, there, middle);
            let there = self.move_by(cx, x.clone(), second.clone(), from, middle);
            let third = self.predict(cx, there, middle);
            let low = self.walk.below(middle.timestep, half);
            let there = self.move_by(cx, x.clone(), third.clone(), from, low);
            let fourth = self.predict(cx, there, to);
            let (outer, inner) = (1.0 / 6.0, 1.0 / 3.0);
            let slopes = [(outer, first), (inner, second), (inner, third), (outer, fourth)];
            let mean = linear_combination(slopes);
            return self.move_by(cx, x, mean, from, to);
        }
        let terms = WEIGHTS[predictions - 1].iter().copied().zip(newest_first.iter().cloned());
        self.move_by(cx, x, linear_combination(terms), from, end)
    }
}
