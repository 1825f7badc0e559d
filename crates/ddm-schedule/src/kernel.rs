//! The two transition kernels, on which every sampler is built.
//!
//! With the prediction x̂₀ and the noise it implies, `ε̂ = (x − α_from x̂₀)/σ_from`, one formula
//! moves x down to a less noisy level (Song et al., *Denoising Diffusion Implicit Models*, eq. 12,
//! arXiv 2010.02502, here for any (α, σ)):
//!
//! ```text
//! reverse:  x' = α_to x̂₀ + √(σ_to² − c²) ε̂ + c z,     z ~ N(0, I)
//! ```
//!
//! and a second one moves x up to a noisier level:
//!
//! ```text
//! forward:  x' = (α_to/α_from) x + √(σ_to² − (α_to/α_from)² σ_from²) z
//! ```
//!
//! A sampler only chooses the noise std c and x̂₀. If x is `α_from x₀ + σ_from ε` and x̂₀ = x₀,
//! both kernels give `α_to x₀ + σ_to ε'` with a standard normal ε', for every c.

use crate::NoiseLevel;

/// The coefficients of one reverse step: `x' = x·x + x0·x̂₀ + noise·z`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reverse {
    /// The factor of x.
    pub x: f64,
    /// The factor of x̂₀.
    pub x0: f64,
    /// The factor of z, the noise std c.
    pub noise: f64,
}

/// Returns the reverse kernel from a level to a less noisy one, with noise std `c ∈ [0, σ_to]`.
///
/// These are the coefficients of x, x̂₀ and z in
/// `α_to x̂₀ + √(σ_to² − c²) (x − α_from x̂₀)/σ_from + c z`. A c above σ_to is treated as σ_to.
///
/// ```
/// use ddm_schedule::{NoiseLevel, kernel};
/// let from = NoiseLevel { timestep: 2.0, alpha: 0.6, sigma: 0.8 };
/// let to = NoiseLevel { timestep: 1.0, alpha: 0.8, sigma: 0.6 };
/// // All noise is fresh: x' = α x̂₀ + σ z does not depend on x.
/// let all = kernel::reverse(from, to, to.sigma);
/// assert_eq!((all.x, all.x0, all.noise), (0.0, 0.8, 0.6));
/// ```
#[must_use]
pub fn reverse(from: NoiseLevel, to: NoiseLevel, c: f64) -> Reverse {
    let c = c.min(to.sigma);
    let kept = ((to.sigma - c) * (to.sigma + c)).sqrt() / from.sigma;
    Reverse { x: kept, x0: to.alpha - kept * from.alpha, noise: c }
}

/// The coefficients of one forward step: `x' = x·x + noise·z`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forward {
    /// The factor of x.
    pub x: f64,
    /// The factor of z.
    pub noise: f64,
}

/// Returns the forward kernel from a level to a noisier one.
///
/// It is `(α_to/α_from) x + √(σ_to² − (α_to/α_from)² σ_from²) z`. From the data it is the closed
/// form `α_to x₀ + σ_to z`; between neighbouring rows of a β table `√(1 − β) x + √β z`.
///
/// ```
/// use ddm_schedule::{NoiseLevel, kernel};
/// let to = NoiseLevel { timestep: 1.0, alpha: 0.8, sigma: 0.6 };
/// let up = kernel::forward(NoiseLevel::DATA, to);
/// assert_eq!((up.x, up.noise), (0.8, 0.6));
/// ```
#[must_use]
pub fn forward(from: NoiseLevel, to: NoiseLevel) -> Forward {
    let x = to.alpha / from.alpha;
    let carried = x * from.sigma;
    Forward { x, noise: ((to.sigma - carried) * (to.sigma + carried)).max(0.0).sqrt() }
}

/// Returns the noise std of DDIM(η): `c = η σ_to √(1 − e^(−2h))`, h = λ_to − λ_from.
///
/// η = 0 is the ODE (no noise), η = 1 the ancestral sampler with the posterior variance β̃ of DDPM
/// (DDIM eq. 16). The η of SDE solvers differs, see [`sde_std`]; the two agree at 0 and 1.
#[must_use]
pub fn ddim_std(from: NoiseLevel, to: NoiseLevel, eta: f64) -> f64 {
    eta * sde_std(from, to, 1.0)
}

/// Returns the noise std of the reverse SDE with its noise scaled by η: `c = σ_to √(1 − e^(−2ηh))`.
///
/// Source: Lu et al., *DPM-Solver++*, app. B.3 (η = 1), arXiv 2211.01095; Xue et al., *SA-Solver*,
/// prop. 4.2 with constant τ, arXiv 2309.05019.
#[must_use]
pub fn sde_std(from: NoiseLevel, to: NoiseLevel, eta: f64) -> f64 {
    // e^(−h) = (α_from σ_to)/(σ_from α_to), finite even if a level has no signal or no noise.
    let shrink = (from.alpha * to.sigma) / (from.sigma * to.alpha);
    to.sigma * (-(2.0 * eta * shrink.ln()).exp_m1()).max(0.0).sqrt()
}

/// Returns the factors of x, ε̂ and z in a step of the reverse SDE in ε̂, with noise scaled by
/// τ = √η:
///
/// ```text
/// x' = (α_to/α_from) x − (1 + τ²) σ_to (e^h − 1) ε̂ + τ σ_to √(e^(2h) − 1) z
/// ```
///
/// At η = 0 it is [`reverse`] with c = 0. Otherwise it is not a reverse kernel: its noise can
/// exceed σ_to, up to that of the forward chain. Requires α_from > 0 and σ_to > 0. Source: Lu et
/// al., *DPM-Solver++* (SDE-DPM-Solver), arXiv 2211.01095; τ: Xue et al., *SA-Solver*, arXiv
/// 2309.05019.
///
/// ```
/// use ddm_schedule::{NoiseLevel, kernel};
/// let from = NoiseLevel { timestep: 600.0, alpha: 0.6, sigma: 0.8 };
/// let to = NoiseLevel { timestep: 400.0, alpha: 0.8, sigma: 0.6 };
/// let [x, epsilon, z] = kernel::noise_sde(from, to, 0.0);
/// // x = 0.6 x₀ + 0.8 ε becomes 0.8 x₀ + 0.6 ε.
/// assert!((x * 0.6 - 0.8).abs() < 1e-12 && (x * 0.8 + epsilon - 0.6).abs() < 1e-12 && z == 0.0);
/// ```
#[must_use]
pub fn noise_sde(from: NoiseLevel, to: NoiseLevel, eta: f64) -> [f64; 3] {
    // σ_to e^h = α_to σ_from / α_from
    let stretch = to.alpha / from.alpha;
    let noise = stretch * forward(to, from).noise;
    [stretch, (1.0 + eta) * (to.sigma - stretch * from.sigma), eta.sqrt() * noise]
}
