//! Noise levels: the scales of signal and noise in x.

/// A noise level of the forward process, `x = α x₀ + σ ε` with `ε ~ N(0, I)`.
///
/// Samplers move x between levels. A level is three numbers on the host, not on a device. Source:
/// Kingma et al., *Variational Diffusion Models*, eq. 1–3, arXiv 2107.00630.
///
/// ```
/// use ddm_schedule::NoiseLevel;
/// let level = NoiseLevel { timestep: 500.0, alpha: 0.6, sigma: 0.8 };
/// assert!((level.snr() - 0.5625).abs() < 1e-12);
/// assert!((level.lambda() - 0.75_f64.ln()).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NoiseLevel {
    /// The network's timestep, see [`NoiseSchedule::timestep`]: the row of a β table, 1000 t
    /// for a continuous schedule.
    ///
    /// [`NoiseSchedule::timestep`]: crate::NoiseSchedule::timestep
    pub timestep: f64,
    /// The signal scale α.
    pub alpha: f64,
    /// The noise standard deviation σ.
    pub sigma: f64,
}

impl NoiseLevel {
    /// The data itself: α = 1, σ = 0.
    pub const DATA: Self = Self { timestep: 0.0, alpha: 1.0, sigma: 0.0 };

    /// Returns half the log signal-to-noise ratio, `λ = ln(α/σ)`; infinite if σ or α is 0.
    #[must_use]
    pub fn lambda(&self) -> f64 {
        (self.alpha / self.sigma).ln()
    }

    /// Returns the signal-to-noise ratio, `SNR = α²/σ² = e^(2λ)`.
    #[must_use]
    pub fn snr(&self) -> f64 {
        (self.alpha / self.sigma).powi(2)
    }

    /// Returns `ᾱ = α²`, the cumulative product of the variance-preserving chain.
    #[must_use]
    pub fn alpha_bar(&self) -> f64 {
        self.alpha * self.alpha
    }

    /// Returns the standard deviation of x for data of unit variance, `√(α² + σ²)`; 1 if variance
    /// preserving.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.alpha.hypot(self.sigma)
    }
}
