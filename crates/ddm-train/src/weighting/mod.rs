//! The weight of the error at each noise level.

mod density;
mod edm;
mod truncated;

use ddm_denoiser::Parameterization;
use ddm_schedule::{Invalid, NoiseLevel};
use serde::{Deserialize, Serialize};

pub use edm::EdmWeight;
pub use truncated::TruncatedSnr;

use crate::TrainError;

/// The weight w of `w ‖F − target‖²` at a noise level.
///
/// Since `x̂₀ = a x + b F`, an error of F causes b times that error of x̂₀. So a weight `w₀` of the
/// x₀ error, as papers state it, is `w = w₀ b²` for the error of F in every parameterization
/// ([`Parameterization::x0_from`] returns b).
pub trait Weighting: Send + Sync {
    /// Returns w at noise level `at`, for a network of this parameterization.
    fn weight(&self, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64;
}

macro_rules! delegate {
    ($($pointer:ty),*) => {$(
        impl<W: Weighting + ?Sized> Weighting for $pointer {
            fn weight(&self, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64 {
                (**self).weight(at, parameterization)
            }
        }
    )*};
}
delegate!(&W, Box<W>, std::sync::Arc<W>);

/// Returns `w₀ b²`: converts a weight of the x₀ error to a weight of the error of F.
fn from_x0_weight(w0: f64, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64 {
    let (_, b) = parameterization.x0_from(at);
    w0 * b * b
}

/// The uniform weighting, `w = 1` on the error of F: `L_simple` of DDPM if F predicts ε.
///
/// Source: Ho et al., eq. 14, arXiv 2006.11239.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniformWeight;

impl Weighting for UniformWeight {
    fn weight(&self, _: NoiseLevel, _: &dyn Parameterization) -> f64 {
        1.0
    }
}

/// The Min-SNR-γ weighting: `w₀ = min(SNR, γ)`. For ε it is `min(SNR, γ)/SNR`, for v
/// `min(SNR, γ)/(SNR + 1)`.
///
/// It prevents the easy levels of low noise from dominating. Default: γ = 5.
/// Source: Hang et al., *Efficient Diffusion Training via Min-SNR Weighting Strategy*, sec. 3.4,
/// arXiv 2303.09556.
///
/// ```
/// use ddm_denoiser::{EpsilonPrediction, VPrediction};
/// use ddm_schedule::NoiseLevel;
/// use ddm_train::{MinSnr, Weighting};
/// let at = NoiseLevel { timestep: 1.0, alpha: 0.1_f64.sqrt() * 3.0, sigma: 0.1_f64.sqrt() }; // SNR = 9
/// let min_snr = MinSnr::default();
/// assert!((min_snr.weight(at, &EpsilonPrediction) - 5.0 / 9.0).abs() < 1e-12);
/// assert!((min_snr.weight(at, &VPrediction) - 5.0 / 10.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Gamma", into = "Gamma")]
pub struct MinSnr {
    gamma: f64,
}

impl MinSnr {
    /// Creates the weighting of γ > 0; γ = ∞ is `w₀ = SNR`. JSON has no ∞, so there it is
    /// `"gamma": null`.
    ///
    /// # Errors
    ///
    /// Returns an error if γ is 0, negative or NaN.
    pub fn new(gamma: f64) -> Result<Self, TrainError> {
        Invalid::require(gamma > 0.0, "gamma", gamma, "above 0")?;
        Ok(Self { gamma })
    }
}

impl Default for MinSnr {
    fn default() -> Self {
        Self { gamma: 5.0 }
    }
}

impl Weighting for MinSnr {
    fn weight(&self, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64 {
        from_x0_weight(at.snr().min(self.gamma), at, parameterization)
    }
}

/// The serialized γ; ∞ is `None`, since JSON has no ∞.
#[derive(Serialize, Deserialize)]
struct Gamma {
    gamma: Option<f64>,
}

impl TryFrom<Gamma> for MinSnr {
    type Error = TrainError;
    fn try_from(raw: Gamma) -> Result<Self, TrainError> {
        Self::new(raw.gamma.unwrap_or(f64::INFINITY))
    }
}

impl From<MinSnr> for Gamma {
    fn from(weighting: MinSnr) -> Self {
        Self { gamma: Some(weighting.gamma).filter(|gamma| gamma.is_finite()) }
    }
}

/// The weighting of denoising score matching with NCSN's λ(σ) = σ²: `w₀ = SNR`.
///
/// The papers state λ for the error of the score. The loss is then
///
/// ```text
/// σ² ‖s + ε/σ‖² = ‖σ s + ε‖² = SNR ‖x̂₀ − x₀‖²
/// ```
///
/// This is σ² for a network that predicts the score, 1 for ε ([`UniformWeight`], as in DDPM), SNR
/// for x₀ and SNR/(SNR + 1) for v. It equals [`MinSnr`] with γ = ∞. It balances the noisiest
/// levels, whose scores are small, and the least noisy ones, whose scores are large. Source: Song &
/// Ermon, *Generative Modeling by Estimating Gradients of the Data Distribution*, eq. 5–6,
/// arXiv 1907.05600; Song et al., *Score-Based Generative Modeling through Stochastic Differential
/// Equations*, eq. 7, arXiv 2011.13456.
///
/// ```
/// use ddm_denoiser::{EpsilonPrediction, ScorePrediction};
/// use ddm_schedule::NoiseLevel;
/// use ddm_train::{ScoreMatching, Weighting};
/// let at = NoiseLevel { timestep: 3.0, alpha: 1.0, sigma: 0.5 };
/// assert!((ScoreMatching.weight(at, &ScorePrediction) - 0.25).abs() < 1e-12);
/// assert!((ScoreMatching.weight(at, &EpsilonPrediction) - 1.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreMatching;

impl Weighting for ScoreMatching {
    fn weight(&self, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64 {
        from_x0_weight(at.snr(), at, parameterization)
    }
}

/// The P2 weighting: `w₀ = SNR/(k + SNR)^γ`, which is `1/(k + SNR)^γ` for ε. Default: k = 1, γ = 1.
///
/// It reduces the weight of levels where only imperceptible detail remains to be learned. Source:
/// Choi et al., *Perception Prioritized Training of Diffusion Models*, eq. 8, arXiv 2204.00227.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "KAndGamma")]
pub struct P2 {
    k: f64,
    gamma: f64,
}

impl P2 {
    /// Creates the weighting of k > 0 and γ ≥ 0, both finite.
    ///
    /// # Errors
    ///
    /// Returns an error if k or γ is out of range.
    pub fn new(k: f64, gamma: f64) -> Result<Self, TrainError> {
        Invalid::require(k > 0.0 && k.is_finite(), "k", k, "finite and above 0")?;
        let holds = gamma >= 0.0 && gamma.is_finite();
        Invalid::require(holds, "gamma", gamma, "finite and at least 0")?;
        Ok(Self { k, gamma })
    }
}

impl Default for P2 {
    fn default() -> Self {
        Self { k: 1.0, gamma: 1.0 }
    }
}

impl Weighting for P2 {
    fn weight(&self, at: NoiseLevel, parameterization: &dyn Parameterization) -> f64 {
        let snr = at.snr();
        from_x0_weight(snr / (self.k + snr).powf(self.gamma), at, parameterization)
    }
}

#[derive(Deserialize)]
struct KAndGamma {
    k: f64,
    gamma: f64,
}

impl TryFrom<KAndGamma> for P2 {
    type Error = TrainError;
    fn try_from(raw: KAndGamma) -> Result<Self, TrainError> {
        Self::new(raw.k, raw.gamma)
    }
}
