//! The sinusoidal embedding of t.

use burn::config::Config;
use burn::tensor::{DType, Tensor, TensorData};

use ddm_schedule::Invalid;

use crate::NetworkConfigError;

/// The sinusoidal embedding of a time: `[sin(t ω), cos(t ω)]` with the frequencies
/// `ω_i = P^(−i/(n − s))`, `i = 0 … n − 1`, where n is half the size, P the longest period (over
/// 2π) and s the frequency shift.
///
/// It is meant for t in 0 … 1000, the unit of [`NoisePredictor`](ddm_denoiser::NoisePredictor).
/// Source: Vaswani et al., *Attention Is All You Need*, sec. 3.5, arXiv 1706.03762; the options are
/// those of diffusers' `get_timestep_embedding`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_models::TimestepEmbedding;
/// let t = Tensor::<1>::from_floats([0.0, 500.0], &Device::flex());
/// let embedding = TimestepEmbedding::new(32).forward(t);
/// assert_eq!(embedding.dims(), [2, 32]);
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct TimestepEmbedding {
    /// The length of the embedding; even.
    pub size: usize,
    /// The longest period over 2π, P.
    #[config(default = 10000.0)]
    pub max_period: f64,
    /// Whether the cosines come first, as in DDPM's U-Net in diffusers.
    #[config(default = false)]
    pub flip_sin_to_cos: bool,
    /// The shift s; diffusers' `downscale_freq_shift`. With 1, the lowest frequency is 1/P.
    #[config(default = 0.0)]
    pub freq_shift: f64,
}

impl TimestepEmbedding {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Returns an error if the size is 0 or odd, the period is not above 0, or the shift is not
    /// below half the size.
    pub fn validate(&self) -> Result<(), NetworkConfigError> {
        let what = "the size of the time embedding";
        NetworkConfigError::require_some(what, self.size)?;
        NetworkConfigError::require_multiple(
            what,
            self.size,
            2,
            "number of halves (sine and cosine)",
        )?;
        let (period, shift) = (self.max_period, self.freq_shift);
        let finite = period > 0.0 && period.is_finite();
        Invalid::require(finite, "max_period", period, "finite and above 0")?;
        // A shift of n would divide by zero, a larger one reverse the frequencies.
        let (below, allowed) = (shift < (self.size / 2) as f64, "below half the embedding's size");
        Ok(Invalid::require(shift.is_finite() && below, "freq_shift", shift, allowed)?)
    }

    /// Returns the embedding of t: `[batch]` → `[batch, size]`, always in f32.
    ///
    /// In f16 the product of t ≤ 1000 and a frequency has no fractional digits, so half precision
    /// starts after the embedding. The frequencies are rounded as PyTorch rounds them, in each operation
    /// to f32: at t = 1000 their last digit is 1e-4 of the angle, which a network can enlarge.
    pub fn forward(&self, t: Tensor<1>) -> Tensor<2> {
        let n = self.size / 2;
        let (log, steps) = (-self.max_period.ln() as f32, (n as f64 - self.freq_shift) as f32);
        let frequency = |i| f64::from(log * i as f32 / steps).exp() as f32;
        let frequencies: Vec<f32> = (0..n).map(frequency).collect();
        let data = TensorData::new(frequencies, [1, n]);
        let frequencies = Tensor::<2>::from_data(data, (&t.device(), DType::F32));
        let angles = t.cast(DType::F32).unsqueeze_dim::<2>(1) * frequencies;
        let (sin, cos) = (angles.clone().sin(), angles.cos());
        let halves = if self.flip_sin_to_cos { vec![cos, sin] } else { vec![sin, cos] };
        Tensor::cat(halves, 1)
    }
}
