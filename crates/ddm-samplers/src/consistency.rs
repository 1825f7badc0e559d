//! Samplers of consistency models: prediction of the data, then fresh noise.

use burn::tensor::Tensor;
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::settings::{Fraction, NonNegative};
use crate::{Context, Sampler, SamplingError};

/// The sampler of consistency models: x̂₀ with fresh noise, `x' = α_to x̂₀ + c z`.
///
/// With c = σ_to (the default) this is the sampler of latent consistency models, and on
/// [`RectifiedFlow`](ddm_schedule::RectifiedFlow) the stochastic Euler step of flow matching: the
/// reverse kernel whose result does not depend on x. With [`floor`](Self::floor) σ_min the model's
/// prediction is treated as data with noise σ_min, `c² = σ_to² − α_to² σ_min²`, which is the
/// multistep sampling of consistency models. The model must map every x to the end of its path;
/// wrap latent consistency models in [`Consistent`](ddm_denoiser::Consistent). Stochastic; one
/// model call per step; no order; no state. Source: Song et al., *Consistency Models*, algorithm 1,
/// arXiv 2303.01469; Luo et al., *Latent Consistency Models*, arXiv 2310.04378.
///
/// ```
/// use ddm_samplers::Lcm;
/// let (latent, pixel) = (Lcm::default(), Lcm::floor(0.002)?);
/// assert!(Lcm::floor(-1.0).is_err());
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[doc(alias = "ConsistencyMultistep")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lcm {
    sigma_min: NonNegative,
}

impl Lcm {
    /// Creates the sampler for a model whose predictions keep noise `σ_min ≥ 0` (in units of σ/α).
    ///
    /// # Errors
    /// Returns an error if σ_min is not finite and at least 0.
    pub fn floor(sigma_min: f64) -> Result<Self, SamplingError> {
        Ok(Self { sigma_min: NonNegative::new("sigma_min", sigma_min)? })
    }
}

impl<const D: usize> Sampler<D> for Lcm {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        (): &mut (),
    ) -> Tensor<D> {
        let x0 = cx.denoise(x, from);
        let floor = NoiseLevel { timestep: from.timestep, alpha: 1.0, sigma: self.sigma_min.0 };
        // At or below the floor no noise is added.
        if to.lambda() >= floor.lambda() { x0 * to.alpha } else { cx.forward(x0, floor, to) }
    }

    fn order(&self) -> Option<usize> {
        None
    }

    fn is_stochastic(&self) -> bool {
        true
    }
}

/// The sampler of trajectory consistency distillation: down to `s = (1 − γ) t_to`, and up again.
///
/// Both moves are one step of the reverse kernel, where c is the noise of the forward kernel from
/// the level at timestep s (rounded down if t_to is whole, as in a table) to `to`. γ = 0 is
/// [`crate::Ddim`] at η = 0, γ = 1 almost [`Lcm`]. Stochastic; one model call per step; no order;
/// no state. Source: Zheng et al., *Trajectory Consistency Distillation* (strategic stochastic
/// sampling), arXiv 2402.19159.
///
/// ```
/// use ddm_samplers::Tcd;
/// assert_eq!(Tcd::default(), Tcd::new(0.3)?);
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tcd {
    gamma: Fraction,
}

impl Tcd {
    /// Creates the sampler with `γ ∈ [0, 1]`; diffusers calls it eta.
    ///
    /// # Errors
    /// Returns an error if γ is outside [0, 1].
    pub fn new(gamma: f64) -> Result<Self, SamplingError> {
        Ok(Self { gamma: Fraction::new("gamma", gamma)? })
    }
}

/// γ = 0.3.
impl Default for Tcd {
    fn default() -> Self {
        Self { gamma: Fraction(0.3) }
    }
}

impl<const D: usize> Sampler<D> for Tcd {
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
        let (part, row) = (1.0 - self.gamma.0, to.timestep);
        let below = match cx.schedule().steps() {
            // Rows are rounded down in single precision, where 0.7 · 700 is 490 and not just below.
            Some(_) if row.fract() == 0.0 => {
                cx.level_at_timestep(f64::from((part as f32 * row as f32).floor()))
            }
            Some(_) => cx.level_at_timestep(part * row),
            // By the schedule's own time: a timestep may be any function of it, as EDM's ¼ ln σ is.
            None => cx.schedule().level(part * cx.time_of(to)),
        };
        // At γ = 0, and at the data, the two levels are equal.
        let above = below.lambda() > to.lambda();
        let c = if above { kernel::forward(below, to).noise } else { 0.0 };
        cx.reverse(x, x0, from, to, c)
    }

    fn order(&self) -> Option<usize> {
        None
    }

    fn is_stochastic(&self) -> bool {
        self.gamma.0 > 0.0
    }
}
