//! The likelihood of an observation, given noisy x.

use auto_impl::auto_impl;
use burn::tensor::Tensor;
use ddm_schedule::{Invalid, NoiseLevel};

use crate::ModelError;
use crate::per_sample::times;

/// The log-likelihood `ln p(y | x_t)` as a function of the misfit `‖y − A(x̂₀)‖²`, for
/// [`Reconstruction`](crate::Reconstruction).
///
/// x_t determines x₀ only approximately, so p(y | x_t) depends on the uncertainty assumed for x̂₀.
/// The published methods differ in this alone.
#[auto_impl(&, Box, Arc)]
pub trait ObservationLikelihood: Send + Sync {
    /// Returns `ln p(y | x_t)` up to a constant, from the misfit of each sample (`[batch]`), at one
    /// level for all samples or one per sample.
    fn log_likelihood(&self, misfit: Tensor<1>, at: &[NoiseLevel]) -> Tensor<1>;
}

/// A Gaussian likelihood: y has mean A(x̂₀), and its variance is the noise of y plus the
/// uncertainty of x̂₀:
///
/// ```text
/// p(y | x_t) = N(y; A(x̂₀), (a² r² + s_y²) I),    r² = s² σ²/(α² s² + σ²)
/// ```
///
/// s_y is the std of the noise in y, s that of the data (by default 1), and a the factor by which A
/// stretches: `A Aᵀ = a² I` (by default 1, as for a mask or other orthonormal rows). r² is the
/// variance of data N(μ, s² I) given x_t. **Exact** for such data if A is linear with A Aᵀ = a² I.
///
/// * s = 1: r² = σ²/(α² + σ²), as in ΠGDM: Song et al., *Pseudoinverse-Guided Diffusion Models for
///   Inverse Problems*, ICLR 2023;
/// * s = ∞: r² = σ²/α², reconstruction guidance: Ho et al., *Video Diffusion Models*, sec. 3.1,
///   arXiv 2204.03458 (s_y = 0, their w_r being the scale);
/// * s = 0: x̂₀ is taken for x₀ itself, as in DPS: Chung et al., *Diffusion Posterior Sampling for
///   General Noisy Inverse Problems*, eq. 16, arXiv 2209.14687 (ρ = 1/(2 s_y²)).
///
/// ```
/// use ddm_denoiser::GaussianLikelihood;
/// use ddm_schedule::NoiseLevel;
/// let at = NoiseLevel { timestep: 0.0, alpha: 0.6, sigma: 0.8 };
/// let likelihood = GaussianLikelihood::new(0.3)?;
/// assert!((likelihood.variance(at) - (0.64 + 0.09)).abs() < 1e-12);
/// let dps = likelihood.data_std(0.0)?;
/// assert!((dps.variance(at) - 0.09).abs() < 1e-12);
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianLikelihood {
    std: f64,
    data_std: f64,
    stretch: f64,
}

impl GaussianLikelihood {
    /// Creates the likelihood of an observation with noise of std s_y, with s = 1 and a = 1.
    ///
    /// # Errors
    /// Returns an error if s_y is not finite and at least 0.
    pub fn new(std: f64) -> Result<Self, ModelError> {
        let (what, allowed) = ("the observation's std", "finite and at least 0");
        if std.is_finite() && std >= 0.0 {
            return Ok(Self { std, data_std: 1.0, stretch: 1.0 });
        }
        Err(Invalid { name: what, value: std, allowed }.into())
    }

    /// Sets the standard deviation s of the data; it may be infinite.
    ///
    /// # Errors
    /// Returns an error if s is negative, or if it is 0 and y has no noise.
    pub fn data_std(self, data_std: f64) -> Result<Self, ModelError> {
        if data_std > 0.0 || (data_std == 0.0 && self.std > 0.0) {
            return Ok(Self { data_std, ..self });
        }
        let allowed = "at least 0, and above 0 where y has no noise";
        Err(Invalid { name: "the data's std", value: data_std, allowed }.into())
    }

    /// Sets the factor a by which the operator stretches: `A Aᵀ = a² I`. The mean of n elements has
    /// a = 1/√n, their sum a = √n.
    ///
    /// # Errors
    /// Returns an error if a is not finite and above 0.
    pub fn stretch(self, stretch: f64) -> Result<Self, ModelError> {
        if stretch > 0.0 && stretch.is_finite() {
            return Ok(Self { stretch, ..self });
        }
        let (what, allowed) = ("the operator's stretch", "finite and above 0");
        Err(Invalid { name: what, value: stretch, allowed }.into())
    }

    /// Returns the variance of y at a level, `a² r² + s_y²`.
    pub fn variance(&self, at: NoiseLevel) -> f64 {
        let remaining = match self.data_std {
            0.0 => 0.0,
            std => at.sigma.powi(2) / (at.alpha.powi(2) + (at.sigma / std).powi(2)),
        };
        self.stretch.powi(2) * remaining + self.std.powi(2)
    }
}

impl ObservationLikelihood for GaussianLikelihood {
    fn log_likelihood(&self, misfit: Tensor<1>, at: &[NoiseLevel]) -> Tensor<1> {
        // Without any noise (σ = 0, s_y = 0) x is not moved.
        let weight = |&at: &NoiseLevel| match self.variance(at) {
            0.0 => 0.0,
            variance => -0.5 / variance,
        };
        times(misfit, &at.iter().map(weight).collect::<Vec<_>>())
    }
}

/// The normalized steps of DPS, whose size does not depend on the misfit:
/// `ln p(y | x_t) = −2 ‖y − A(x̂₀)‖`.
///
/// Its gradient is `−∇‖y − A(x̂₀)‖²/‖y − A(x̂₀)‖`, the step of DPS for ζ' = 1; the scale of
/// [`Reconstruction`](crate::Reconstruction) is ζ. It is not a density, but it is robust if the
/// noise of y and the uncertainty of x̂₀ are unknown. Here it acts as a score, so it works with
/// every sampler. The paper's code instead subtracts ζ' times the gradient from the result of a
/// DDPM step with noise β at signal α: that is `ζ = ζ' √(1 − β)/β` here. Source: Chung et al.,
/// *Diffusion Posterior Sampling for General Noisy Inverse Problems*, alg. 1 and sec. 3.3, arXiv
/// 2209.14687.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::{ObservationLikelihood, NormalizedLikelihood};
/// use ddm_schedule::NoiseLevel;
/// let misfit = Tensor::from_floats([9.0], &Device::flex());
/// let value = NormalizedLikelihood.log_likelihood(misfit, &[NoiseLevel::DATA]);
/// assert_eq!(value.into_scalar::<f32>(), -6.0);
/// ```
#[doc(alias = "DPS")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NormalizedLikelihood;

impl ObservationLikelihood for NormalizedLikelihood {
    fn log_likelihood(&self, misfit: Tensor<1>, _: &[NoiseLevel]) -> Tensor<1> {
        // The square root has no derivative at 0, where x is not moved.
        misfit.clamp_min(1e-30).sqrt() * -2.0
    }
}
