//! Spacings: n noise-to-signal ratios, noisiest first.
//!
//! These "sigmas" are ratios `σ/α = e^(−λ)`, the noise std of x/α (variance-exploding coordinates).
//! Each function returns n ratios falling from exactly `sigma_max` to exactly `sigma_min` (a single
//! ratio is `sigma_max`). [`Levels::at_sigmas`](crate::Levels::at_sigmas) adds the final step to
//! the data. The grids [`Karras`](crate::Karras),
//! [`Exponential`](crate::Exponential) and [`BetaSpaced`](crate::BetaSpaced) apply them between the
//! ends of a schedule. For rectified flow diffusers spaces σ = t itself: pass that list to
//! [`Levels::at_times`](crate::Levels::at_times).
//!
//! ```
//! use ddm_schedule::spacing;
//! let sigmas = spacing::karras(3, 80.0, 0.002, 7.0)?;
//! assert_eq!((sigmas[0], sigmas[2]), (80.0, 0.002));
//! assert!((sigmas[1] - 2.5152).abs() < 1e-4);
//! # Ok::<(), ddm_schedule::GridError>(())
//! ```

use statrs::function::beta::{beta_reg, ln_beta};

use crate::{GridError, Invalid};

/// Returns Karras' ratios, evenly spaced in σ^(1/ρ):
/// `σ_i = (σ_max^(1/ρ) + i/(n − 1) (σ_min^(1/ρ) − σ_max^(1/ρ)))^ρ`.
///
/// A larger ρ puts more steps at low noise; the paper uses ρ = 7. Source: Karras
/// et al., *Elucidating the Design Space of Diffusion-Based Generative Models*, eq. 5,
/// arXiv 2206.00364.
///
/// # Errors
///
/// Returns [`GridError::NoSteps`] if n is 0, and [`GridError::Invalid`] unless 0 < σ_min < σ_max <
/// ∞ and ρ > 0.
pub fn karras(n: usize, sigma_max: f64, sigma_min: f64, rho: f64) -> Result<Vec<f64>, GridError> {
    positive("rho", rho)?;
    spaced(n, sigma_max, sigma_min, |ramp| karras_at(ramp, sigma_max, sigma_min, rho))
}

/// `(from^(1/ρ) + ramp (to^(1/ρ) − from^(1/ρ)))^ρ`.
pub(crate) fn karras_at(ramp: f64, from: f64, to: f64, rho: f64) -> f64 {
    let (from, to) = (from.powf(rho.recip()), to.powf(rho.recip()));
    (from + ramp * (to - from)).powf(rho)
}

/// Returns ratios evenly spaced in ln σ, hence in λ: `λ_i = λ_0 + i/(n − 1) (λ_{n−1} − λ_0)`.
///
/// diffusers has it as `use_exponential_sigmas` and (with exponent 1, the only one allowed) as
/// `use_lu_lambdas`. Source: Lu et al., *DPM-Solver*, sec. 3.3, "uniform logSNR",
/// arXiv 2206.00927.
///
/// ```
/// use ddm_schedule::spacing;
/// let sigmas = spacing::exponential(3, 100.0, 1.0)?;
/// assert!((sigmas[1] - 10.0).abs() < 1e-12);
/// assert!(spacing::exponential(3, 1.0, 100.0).is_err());
/// # Ok::<(), ddm_schedule::GridError>(())
/// ```
///
/// # Errors
///
/// Returns [`GridError::NoSteps`] if n is 0, and [`GridError::Invalid`] unless 0 < σ_min < σ_max <
/// ∞.
#[doc(alias = "lu_lambdas")]
#[doc(alias = "uniform_lambda")]
pub fn exponential(n: usize, sigma_max: f64, sigma_min: f64) -> Result<Vec<f64>, GridError> {
    let (from, to) = (sigma_max.ln(), sigma_min.ln());
    spaced(n, sigma_max, sigma_min, |ramp| (from + ramp * (to - from)).exp())
}

/// Returns ratios at the quantiles of a beta distribution:
/// `σ_i = σ_min + (σ_max − σ_min) I⁻¹(1 − i/(n − 1); α, β)`.
///
/// If both are below 1 (diffusers: 0.6), the steps are denser at both ends; α = β = 1 spaces σ
/// evenly. Source: Lee et al., *Beta Sampling is All You Need*, sec. 3.2, arXiv 2407.12173.
///
/// ```
/// use ddm_schedule::spacing;
/// let sigmas = spacing::beta(5, 14.6, 0.03, 0.6, 0.6)?;
/// assert!((sigmas[2] - 7.315).abs() < 1e-12); // symmetric: the median is the middle
/// # Ok::<(), ddm_schedule::GridError>(())
/// ```
///
/// # Errors
///
/// Returns [`GridError::NoSteps`] if n is 0, and [`GridError::Invalid`] unless 0 < σ_min < σ_max <
/// ∞ and both α and β are above 0.
pub fn beta(
    n: usize,
    sigma_max: f64,
    sigma_min: f64,
    alpha: f64,
    beta: f64,
) -> Result<Vec<f64>, GridError> {
    positive("alpha", alpha)?;
    positive("beta", beta)?;
    spaced(n, sigma_max, sigma_min, |ramp| {
        sigma_min + (sigma_max - sigma_min) * beta_quantile(1.0 - ramp, alpha, beta)
    })
}

/// Checks the ends and returns `at(i/(n − 1))` for i = 0 … n − 1, with exact ends.
fn spaced(
    n: usize,
    sigma_max: f64,
    sigma_min: f64,
    at: impl Fn(f64) -> f64,
) -> Result<Vec<f64>, GridError> {
    if n == 0 {
        return Err(GridError::NoSteps);
    }
    positive("sigma_max", sigma_max)?;
    positive("sigma_min", sigma_min)?;
    Invalid::require(sigma_min < sigma_max, "sigma_min", sigma_min, "below sigma_max")?;
    let inner = (1..n.max(2) - 1).map(|i| at(i as f64 / (n - 1) as f64));
    let last = (n > 1).then_some(sigma_min);
    Ok(std::iter::once(sigma_max).chain(inner).chain(last).collect())
}

pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), Invalid> {
    Invalid::require(value.is_finite() && value > 0.0, name, value, "finite and above 0")
}

/// Returns the x in [0, 1] at which the regularised incomplete beta function `I_x(a, b)` is p:
/// Newton's method, with bisection where a step would leave the bracket. Within 1e-13 of x at every
/// p and (a, b) tried; `statrs`' `inv_beta_reg` is as good in the middle but keeps no digits of
/// small quantiles (a = 0.3, p = 10⁻⁶).
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let ln_norm = ln_beta(a, b);
    let (mut low, mut high) = (0.0, 1.0);
    let mut x: f64 = 0.5;
    for _ in 0..200 {
        let excess = beta_reg(a, b, x) - p;
        if excess > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let density = ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_norm).exp();
        let newton = x - excess / density;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let moved = (next - x).abs();
        x = next;
        if moved <= 1e-15 * x {
            break;
        }
    }
    x
}
