//! DDIM: from the ODE (η = 0) to the ancestral sampler (η = 1).

use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel, kernel};
use serde::{Deserialize, Serialize};

use crate::{Context, Sampler, SamplingError};

/// The DDIM sampler: `x' = α_to x̂₀ + √(σ_to² − c²) ε̂ + c z` with `c = η σ_to √(1 − e^(−2h))`.
///
/// One model call per step; order 1; no state. η = 0 (the default) is deterministic: it is Euler's
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
    /// Euler's method on the probability-flow ODE: DDIM at η = 0.
    ///
    /// With y = x/α and s = σ/α the ODE is `dy/ds = ε̂`, and its Euler step
    /// `y' = y + (s_to − s_from) ε̂` is `x' = α_to x̂₀ + σ_to ε̂`. On
    /// [`RectifiedFlow`](ddm_schedule::RectifiedFlow) it is also `x' = x + (t_to − t_from) v`, the
    /// Euler step of flow matching; its stochastic form is [`Lcm`](crate::Lcm). One model call per
    /// step; order 1; no state. Source: Karras et al., algorithm 1 without
    /// its lines 6 to 8, arXiv 2206.00364; with churn: [`Churn`](crate::Churn).
    ///
    /// ```
    /// use ddm_samplers::Ddim;
    /// assert_eq!(Ddim::EULER, Ddim::default());
    /// assert_eq!(Ddim::EULER_ANCESTRAL, Ddim::new(1.0)?);
    /// # Ok::<(), ddm_samplers::SamplingError>(())
    /// ```
    pub const EULER: Self = Self { eta: 0.0 };

    /// The ancestral Euler method of k-diffusion: DDIM at η = 1.
    ///
    /// An Euler step to `s_down = s_to²/s_from`, then noise `s_up = √(s_to² − s_down²)`:
    /// α_to s_up is exactly the posterior's std of DDPM. Stochastic; one model call per step;
    /// order 1; no state.
    pub const EULER_ANCESTRAL: Self = Self { eta: 1.0 };

    /// Creates the sampler with `η ∈ [0, 1]`: more noise than the posterior's would exceed σ in
    /// large steps.
    ///
    /// # Errors
    /// Returns an error if η is outside [0, 1].
    pub fn new(eta: f64) -> Result<Self, SamplingError> {
        if (0.0..=1.0).contains(&eta) {
            return Ok(Self { eta });
        }
        Err(Invalid { name: "eta", value: eta, allowed: "in [0, 1]" }.into())
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

    fn is_stochastic(&self) -> bool {
        self.eta > 0.0
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
