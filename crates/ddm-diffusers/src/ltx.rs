//! Ancestral steps of rectified flow.

use burn::tensor::Tensor;
use ddm_samplers::{Context, Sampler};
use ddm_schedule::{NoiseLevel, kernel};

/// An Euler step below the next level, and noise up to it:
///
/// ```text
/// σ↓ = σ_to (1 + η (σ_to/σ − 1))   x' = (α_to/α↓) (Euler to σ↓) + s √(σ_to² − (σ↓ α_to/α↓)²) z
/// ```
///
/// with α = 1 − σ. Source: diffusers 0.42.1, `LTXEulerAncestralRFScheduler`, after Karras et al.,
/// *Elucidating the Design Space of Diffusion-Based Generative Models*, arXiv 2206.00364, whose
/// levels have α = 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowAncestral {
    pub(crate) eta: f64,
    pub(crate) s_noise: f64,
}

impl<const D: usize> Sampler<D> for FlowAncestral {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        (): &mut (),
    ) -> Tensor<D> {
        let x0 = cx.denoise(x.clone(), from);
        let sigma = to.sigma * (1.0 + self.eta * (to.sigma / from.sigma - 1.0));
        let down = NoiseLevel { timestep: to.timestep, alpha: 1.0 - sigma, sigma };
        if self.s_noise == 0.0 {
            // diffusers then leaves x at the level below.
            return cx.reverse(x, x0, from, down, 0.0);
        }
        let kept = down.sigma * to.alpha / down.alpha;
        let std = ((to.sigma - kept) * (to.sigma + kept)).max(0.0).sqrt();
        let step = kernel::reverse(from, to, std);
        cx.combine([(step.x, x), (step.x0, x0)], self.s_noise * step.noise)
    }
}
