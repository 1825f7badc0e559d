//! iPNDM: PNDM without its expensive first steps.

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;
use serde::{Deserialize, Serialize};

use crate::multistep::Move;
use crate::pndm::adams_bashforth;
use crate::settings::Order;
use crate::{Context, Extrapolate, History, Sampler, SamplingError};

/// The iPNDM sampler: the reverse kernel with Adams–Bashforth weights for evenly spaced steps on
/// ε̂.
///
/// ```text
/// ε̄ = (55 ε̂₀ − 59 ε̂₁ + 37 ε̂₂ − 9 ε̂₃)/24,      x' = reverse(x, (x − σ ε̄)/α, from → to; 0)
/// ```
///
/// One model call per step; deterministic; the state is the last four predictions, and the first
/// steps use the methods of fewer predictions. The weights assume even steps, which they never are
/// in σ/α, so the order is 2 with two or more predictions (1 with one). [`Pndm`](crate::Pndm)
/// differs only in its first steps; with the true spacing it is [`Lms`](crate::Lms). At α = 0 the
/// noise does not determine the data, and x̂₀ is taken as 0, as in diffusers. Source: Zhang & Chen,
/// *Fast Sampling of Diffusion Models with Exponential Integrator*, arXiv 2204.13902, which
/// improves on Liu et al., *Pseudo Numerical Methods*, arXiv 2202.09778.
///
/// ```
/// use ddm_samplers::Ipndm;
/// assert_eq!(Ipndm::new(4)?, Ipndm::default());
/// # Ok::<(), ddm_samplers::SamplingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipndm {
    predictions: Order<4>,
}

impl Ipndm {
    /// Creates a sampler that combines the last 1 to 4 predictions.
    ///
    /// # Errors
    ///
    /// Returns an error for any other number.
    pub fn new(predictions: usize) -> Result<Self, SamplingError> {
        Ok(Self { predictions: Order::new("predictions", predictions)? })
    }
}

/// Combines the last four predictions.
impl Default for Ipndm {
    fn default() -> Self {
        Self { predictions: Order(4) }
    }
}

impl<const D: usize> Sampler<D> for Ipndm {
    type State = History<D>;

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        history: &mut History<D>,
    ) -> Tensor<D> {
        let x0 = Extrapolate::Noise.predict(cx, &x, from, history, self.predictions.0);
        if from.alpha == 0.0 {
            return x * (to.sigma / from.sigma);
        }
        let weights = adams_bashforth(history.len());
        Move { from, to, c: 0.0 }.take(cx, x, x0, Extrapolate::Noise.kind(), history, &weights)
    }

    fn order(&self) -> Option<usize> {
        Some(self.predictions.0.min(2))
    }
}
