//! Consistency models on the noise levels of EDM.

use burn::tensor::Tensor;
use ddm_denoiser::{ModelError, Parameterization};
use ddm_samplers::{Context, Sampler};
use ddm_schedule::{Invalid, NoiseLevel};

/// The network of a consistency model, `f(x, σ) = c_skip x + c_out F(c_in x)` with α = 1:
///
/// ```text
/// c_skip = σ_d²/((σ − σ_min)² + σ_d²)   c_out = (σ − σ_min) σ_d/√(σ² + σ_d²)   c_in = 1/√(σ² + σ_d²)
/// ```
///
/// Source: Song et al., *Consistency Models*, app. C, arXiv 2303.01469.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConsistencyPrediction {
    sigma_data: f64,
    sigma_min: f64,
}

impl ConsistencyPrediction {
    /// Creates the parameterization for data of standard deviation σ_d > 0 and training noise down
    /// to `σ_min ≥ 0`.
    ///
    /// # Errors
    ///
    /// Returns an error if σ_d or σ_min is out of range.
    pub fn new(sigma_data: f64, sigma_min: f64) -> Result<Self, ModelError> {
        let good = sigma_data > 0.0 && sigma_data.is_finite();
        Invalid::require(good, "sigma_data", sigma_data, "finite and above 0")?;
        let good = sigma_min >= 0.0 && sigma_min.is_finite();
        Invalid::require(good, "sigma_min", sigma_min, "finite and at least 0")?;
        Ok(Self { sigma_data, sigma_min })
    }
}

impl Parameterization for ConsistencyPrediction {
    fn target(&self, at: NoiseLevel) -> (f64, f64) {
        let (skip, out) = self.x0_from(at);
        ((1.0 - skip * at.alpha) / out, -skip * at.sigma / out)
    }

    fn name(&self) -> &'static str {
        "consistency"
    }

    fn x0_from(&self, at: NoiseLevel) -> (f64, f64) {
        let (data, above) = (self.sigma_data, at.sigma - self.sigma_min);
        (data * data / (above * above + data * data), above * data / at.sigma.hypot(data))
    }

    fn input_scale(&self, at: NoiseLevel) -> f64 {
        at.sigma.hypot(self.sigma_data).recip()
    }
}

/// The multistep sampler of consistency models: `x̂₀ + s √(σ_to² − σ_min²) z`.
///
/// It is [`Lcm::floor`](ddm_samplers::Lcm::floor) with noise scaled by s.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renoise {
    pub(crate) sigma_min: f64,
    pub(crate) s_noise: f64,
}

impl<const D: usize> Sampler<D> for Renoise {
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
        let variance = (to.sigma - self.sigma_min) * (to.sigma + self.sigma_min);
        cx.add_noise(x0, self.s_noise * variance.max(0.0).sqrt())
    }
}
