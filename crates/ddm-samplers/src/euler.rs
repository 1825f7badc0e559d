//! Euler and Euler ancestral: two names for what DDIM does.

use crate::Ddim;

impl Ddim {
    /// Euler's method on the probability-flow ODE: DDIM at η = 0.
    ///
    /// With y = x/α and s = σ/α the ODE is `dy/ds = ε̂`, and its Euler step
    /// `y' = y + (s_to − s_from) ε̂` is `x' = α_to x̂₀ + σ_to ε̂`. On
    /// [`RectifiedFlow`](ddm_schedule::RectifiedFlow) it is also `x' = x + (t_to − t_from) v`, the
    /// Euler step of flow matching; its stochastic form is [`Lcm`](crate::Lcm). One model call a
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

    /// k-diffusion's ancestral Euler: DDIM at η = 1.
    ///
    /// An Euler step to `s_down = s_to²/s_from`, then noise `s_up = √(s_to² − s_down²)`:
    /// α_to s_up is exactly the posterior's std of DDPM. Stochastic; one model call a step; order
    /// 1; no state.
    pub const EULER_ANCESTRAL: Self = Self { eta: 1.0 };
}
