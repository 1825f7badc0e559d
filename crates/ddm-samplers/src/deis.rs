//! DEIS: exponential integrators with exact integrals.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::{Context, DpmSolver, Ending, History, Sampler, SamplingError, SolverType};

/// The DEIS sampler of order 1 to 3 in log ρ, multistep:
///
/// ```text
/// x' = α_to (x/α_from + Σᵢ Cᵢ ε̂ᵢ),      Cᵢ = ∫ ℓᵢ(ln ρ) dρ from ρ_from to ρ_to,   ρ = σ/α
/// ```
///
/// with ℓᵢ the Lagrange polynomials of the last predictions. Since ln ρ = −λ, it equals
/// [`DpmSolver`] with [`SolverType::Exact`], and is implemented by it. One model call per step;
/// deterministic, of the stated order; the state is the last `order` predictions.
/// Source: Zhang & Chen, *Fast Sampling of Diffusion Models with Exponential Integrator*, eq.
/// 14–15, arXiv 2204.13902.
///
/// ```
/// use ddm_samplers::Deis;
/// let sampler = Deis::new(3)?;
/// assert!(Deis::new(0).is_err());
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Deis(DpmSolver);

impl Deis {
    /// Creates a solver of order 1, 2 or 3.
    ///
    /// # Errors
    /// Returns an error for any other order.
    pub fn new(order: usize) -> Result<Self, SamplingError> {
        Ok(Self(DpmSolver::new(order)?.solver_type(SolverType::Exact)))
    }

    /// Sets the order towards the end of the run: by default lower in short runs.
    #[must_use]
    pub fn ending(self, ending: Ending) -> Self {
        Self(self.0.ending(ending))
    }
}

impl<const D: usize> Sampler<D> for Deis {
    type State = History<D>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        history: &mut History<D>,
    ) -> Tensor<D> {
        self.0.step(cx, x, from, to, history)
    }

    fn order(&self) -> Option<usize> {
        Sampler::<D>::order(&self.0)
    }
}
