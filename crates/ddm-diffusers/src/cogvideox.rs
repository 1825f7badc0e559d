//! The SDE solver of CogVideoX.

use burn::tensor::Tensor;
use ddm_samplers::{Context, Sampler};
use ddm_schedule::{NoiseLevel, kernel};

use crate::walk::Walk;

/// SDE-DPM-Solver++(2M) with η = 1 on the rows of a table: it extrapolates x̂₀ in λ from the
/// previous step, except in the last step.
///
/// diffusers draws the noise of every inner step twice and uses the second draw; this sampler does
/// the same, to consume the same noise. Source: Lu et al., *DPM-Solver++*, algorithm 2 and app.
/// B.3, arXiv 2211.01095; Yang et al., *CogVideoX*, arXiv 2408.06072.
#[derive(Clone, Debug)]
pub(crate) struct CogVideoXDpm(pub(crate) Walk);

impl<const D: usize> Sampler<D> for CogVideoXDpm {
    type State = Option<(NoiseLevel, Tensor<D>)>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        _: NoiseLevel,
        before: &mut Self::State,
    ) -> Tensor<D> {
        let stride = self.0.stride(cx.steps());
        let to = self.0.below(from.timestep, stride);
        let x0 = cx.denoise(x.clone(), from);
        let ends = from.timestep < stride as f64;
        let extrapolated = match before.replace((from, x0.clone())) {
            Some((earlier, old)) if !ends => {
                drop(cx.noise_like(&x));
                let h = to.lambda() - from.lambda();
                let weight = 0.5 * h / (from.lambda() - earlier.lambda());
                x0.clone() + (x0 - old) * weight
            }
            _ => x0,
        };
        cx.reverse(x, extrapolated, from, to, kernel::sde_std(from, to, 1.0))
    }
}
