//! DDIM: from the ODE (η = 0) to the ancestral sampler (η = 1).

use burn::tensor::Tensor;
use ddm_schedule::{NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::{Context, Sampler, SamplingError};

/// DDIM(η): `x' = α_to x̂₀ + √(σ_to² − c²) ε̂ + c z` with `c = η σ_to √(1 − e^(−2h))`.
///
/// One model call a step; order 1; no state. η = 0 (the default) is deterministic: it is Euler's
/// method in σ/α, DPM-Solver-1, and on [`RectifiedFlow`](ddm_schedule::RectifiedFlow) the Euler
/// step of flow matching. η = 1 is [`Ddpm`](crate::Ddpm) with the posterior's variance, and Euler
/// ancestral. Source: Song et al., *Denoising Diffusion Implicit Models*, eq. 12 and 16,
/// arXiv 2010.02502.
///
/// ```
/// use ddm_samplers::Ddim;
/// assert_eq!(Ddim::new(0.0)?, Ddim::default());
/// assert!(Ddim::new(-1.0).is_err());
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Settings")]
pub struct Ddim {
    pub(crate) eta: f64,
}

impl Ddim {
    /// With `η ∈ [0, 1]`: more noise than the posterior's would exceed σ where steps are large.
    pub fn new(eta: f64) -> Result<Self, SamplingError> {
        if (0.0..=1.0).contains(&eta) {
            return Ok(Self { eta });
        }
        Err(SamplingError::Setting { name: "eta", value: eta, allowed: "in [0, 1]" })
    }
}

impl<const D: usize> Sampler<D> for Ddim {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        _: &mut (),
    ) -> Tensor<D> {
        let x0 = cx.denoise(x.clone(), from);
        cx.reverse(x, x0, from, to, kernel::ddim_std(from, to, self.eta))
    }
}

#[derive(Deserialize)]
struct Settings {
    eta: f64,
}

impl TryFrom<Settings> for Ddim {
    type Error = SamplingError;
    fn try_from(settings: Settings) -> Result<Self, SamplingError> {
        Self::new(settings.eta)
    }
}
