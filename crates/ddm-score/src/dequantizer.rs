//! Dequantization: from quantized data to data with a density.

use ddm_schedule::Invalid;
use std::f64::consts::LN_2;

use burn::tensor::Tensor;
use ddm_noise::NoiseSource;
use serde::{Deserialize, Serialize};

use crate::ScoreError;

/// Uniform dequantization of quantized data, such as pixels of 8 bits, with one bin of width Δ per
/// value.
///
/// Noise that is uniform in its bin gives such data a density, and by Jensen's inequality the
/// density bounds the probability of the value k:
///
/// ```text
/// P(k) = ∫ p(b + uΔ) Δ^D du,    ln P(k) ≥ E_u ln p(b + uΔ) + D ln Δ,    u ∈ [0, 1)^D
/// bits/dim = −(ln p + D ln Δ)/(D ln 2)
/// ```
///
/// with b the lower edge of the bin. Two conventions are in use, [`centred`](Self::centred) and
/// [`filling`](Self::filling). A model must be evaluated with the convention of its training.
/// Source: Theis et al., *A note on the evaluation of generative models*, sec. 3.1,
/// arXiv 1511.01844; Song et al., app. D.2 and sec. 4.3, arXiv 2011.13456 (uniform dequantization).
///
/// ```
/// use ddm_score::Dequantizer;
/// // A density of 1/2 on [−1, 1] says nothing about which of 256 values: 8 bits.
/// let pixels = Dequantizer::filling(256, -1.0, 1.0)?;
/// assert!((pixels.bits_per_dim(3.0 * 0.5_f64.ln(), 3) - 8.0).abs() < 1e-12);
/// # Ok::<(), ddm_score::ScoreError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Dequantizer {
    /// The width Δ of a bin.
    width: f64,
    /// The position of a value in its bin: 0 at the lower edge, ½ in the middle.
    place: f64,
}

impl Dequantizer {
    /// Creates bins for `levels` values from `low` to `high`, both included, each in the middle of
    /// its bin: `Δ = (high − low)/(levels − 1)`. Bytes k as `k/127.5 − 1` are `centred(256, −1,
    /// 1)`; the outermost bins extend half a bin beyond. These are also the bins of DDPM's decoder
    /// (Ho et al., eq. 13, arXiv 2006.11239).
    ///
    /// # Errors
    /// Returns an error if `levels` is below 2, or if Δ is not finite and above 0.
    pub fn centred(levels: usize, low: f64, high: f64) -> Result<Self, ScoreError> {
        Invalid::require(levels >= 2, "levels", levels as f64, "at least 2")?;
        Self::of_width((high - low) / (levels as f64 - 1.0), 0.5)
    }

    /// Creates `levels` bins that fill [low, high], each value at the lower edge of its bin:
    /// `Δ = (high − low)/levels`. Bytes k as `k/128 − 1` are `filling(256, −1, 1)`, and
    /// [`dequantize`](Self::dequantize) turns them into `(k + u)/128 − 1`.
    ///
    /// # Errors
    /// Returns an error if `levels` is below 2, or if Δ is not finite and above 0.
    pub fn filling(levels: usize, low: f64, high: f64) -> Result<Self, ScoreError> {
        Invalid::require(levels >= 2, "levels", levels as f64, "at least 2")?;
        Self::of_width((high - low) / levels as f64, 0.0)
    }

    fn of_width(width: f64, place: f64) -> Result<Self, ScoreError> {
        let valid = width.is_finite() && width > 0.0;
        Invalid::require(valid, "the width of a bin", width, "finite and above 0")?;
        Invalid::require(
            (0.0..=1.0).contains(&place),
            "the position in the bin",
            place,
            "in [0, 1]",
        )?;
        Ok(Self { width, place })
    }

    /// Returns the width Δ of a bin.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Adds noise to x that is uniform in each element's bin, with one draw of the noise, `u =
    /// Φ(z)`.
    pub fn dequantize<const D: usize>(
        &self,
        x: Tensor<D>,
        noise: &mut impl NoiseSource,
    ) -> Tensor<D> {
        let z = noise.draw(x.dims(), &x.device()).cast(x.dtype());
        let centred = (z / std::f64::consts::SQRT_2).erf() * 0.5; // u − ½
        x + (centred + (0.5 - self.place)) * self.width
    }

    /// Returns the bits per dimension of a value whose dequantized x, of `dims` elements, has this
    /// log-density in nats.
    pub fn bits_per_dim(&self, log_density: f64, dims: usize) -> f64 {
        -(log_density / dims as f64 + self.width.ln()) / LN_2
    }
}

#[derive(Deserialize)]
struct Raw {
    width: f64,
    place: f64,
}

impl TryFrom<Raw> for Dequantizer {
    type Error = ScoreError;
    fn try_from(raw: Raw) -> Result<Self, ScoreError> {
        Self::of_width(raw.width, raw.place)
    }
}
