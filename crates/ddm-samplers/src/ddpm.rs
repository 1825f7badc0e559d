//! DDPM: the ancestral sampler of the chain.

use burn::tensor::Tensor;
use ddm_denoiser::{Denoised, linear_combination};
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::{Context, Sampler};

/// The DDPM ancestral sampler: the mean of the posterior `q(x_to | x_from, x̂₀)` plus noise.
///
/// One model call per step; order 1; no state. With the posterior's variance it is
/// [`Ddim`](crate::Ddim) at η = 1. The last step, to σ = 0, adds no noise.
/// Source: Ho et al., *Denoising Diffusion Probabilistic Models*, eq. 6–7 and sec. 3.2,
/// arXiv 2006.11239.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ddpm {
    /// The variance of the noise that a step adds.
    pub variance: Variance,
}

/// The variance of an ancestral step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Variance {
    /// The posterior's variance, `β̃ = σ_to² (1 − e^(−2h))`: exact if the data is one point.
    #[default]
    Small,
    /// The chain's variance, `β = σ_from² − (α_from/α_to)² σ_to²`: exact if the data is N(0, I).
    Large,
    /// The learned variance, `β^v β̃^(1−v)` with v predicted by the model for each element; β̃ if
    /// the model predicts none. Source: Nichol & Dhariwal, eq. 15, arXiv 2102.09672.
    Learned,
}

impl<const D: usize> Sampler<D> for Ddpm {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        _: &mut (),
    ) -> Tensor<D> {
        let Denoised { x0, variance: v } = cx.predict_x0(x.clone(), from);
        let small = kernel::ddim_std(from, to, 1.0);
        let large = kernel::forward(to, from).noise;
        let step = kernel::reverse(from, to, small);
        let noisy = to.sigma > 0.0;
        match (self.variance, v) {
            (Variance::Learned, Some(v)) if noisy => {
                // ln c = v ln √β + (1 − v) ln √β̃
                let z = cx.noise_like(&x) * (v * (large / small).ln()).exp();
                linear_combination([(step.x, x), (step.x0, x0), (small, z)])
            }
            (Variance::Large, _) if noisy => cx.combine([(step.x, x), (step.x0, x0)], large),
            _ => cx.combine([(step.x, x), (step.x0, x0)], step.noise),
        }
    }

    fn is_stochastic(&self) -> bool {
        true
    }
}
