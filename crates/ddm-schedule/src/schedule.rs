//! The trait of noise schedules.

use crate::NoiseLevel;
use crate::derivative::derivative;

/// A forward process: signal and noise scales for times from 0 (data) to 1 (noise).
///
/// Only one method is required; every grid, sampler and loss then works with the schedule. A
/// "scheduler" of other libraries is a schedule, a [grid](crate::grid), a parameterization and a
/// sampler.
///
/// ```
/// use ddm_schedule::NoiseSchedule;
/// /// Rectified flow: α = 1 − t, σ = t.
/// struct Flow;
/// impl NoiseSchedule for Flow {
///     fn alpha_sigma(&self, t: f64) -> (f64, f64) {
///         (1.0 - t, t)
///     }
/// }
/// let level = Flow.level_at(0.0); // λ = 0: as much signal as noise
/// assert!((level.sigma - 0.5).abs() < 1e-12);
/// ```
#[doc(alias = "scheduler")]
#[auto_impl::auto_impl(&, Box, Arc)]
pub trait NoiseSchedule: Send + Sync {
    /// Returns (α, σ) at `t ∈ [0, 1]`; α/σ must strictly decrease in t.
    fn alpha_sigma(&self, t: f64) -> (f64, f64);

    /// Returns the number of steps T of a discrete chain (a β table); `None` for continuous time.
    fn steps(&self) -> Option<usize> {
        None
    }

    /// Returns the network's timestep at t: by default `1000 t`, the unit of sinusoidal embeddings
    /// and of pretrained networks; the row `T t − 1` of a β table.
    fn timestep(&self, t: f64) -> f64 {
        1000.0 * t
    }

    /// Returns the time t of a timestep, the inverse of [`timestep`](Self::timestep).
    ///
    /// The default is correct if `timestep` is linear in t, as it is by default and for a β table;
    /// override both methods or neither.
    fn time_of(&self, timestep: f64) -> f64 {
        let (first, last) = (self.timestep(0.0), self.timestep(1.0));
        (timestep - first) / (last - first)
    }

    /// Returns half the log-SNR at t, `λ(t) = ln(α/σ)`.
    fn lambda(&self, t: f64) -> f64 {
        let (alpha, sigma) = self.alpha_sigma(t);
        (alpha / sigma).ln()
    }

    /// Returns the time at which `ln(α/σ) = λ`, the inverse of [`lambda`](Self::lambda); clamped to
    /// [0, 1].
    ///
    /// The default bisects to the last bit; override it with a closed form.
    fn time_at(&self, lambda: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        if lambda >= self.lambda(low) {
            return low;
        }
        if lambda <= self.lambda(high) {
            return high;
        }
        loop {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                return middle;
            }
            if self.lambda(middle) > lambda {
                low = middle;
            } else {
                high = middle;
            }
        }
    }

    /// Returns the drift f(t) of the forward SDE `dx = f x dt + g dw`, per unit of t:
    ///
    /// ```text
    /// f = d ln α/dt
    /// ```
    ///
    /// It is −∞ where α = 0. The default takes differences of α, with a relative error of about
    /// 1e-6 (on a table: the slope of the interpolation between rows); override it with a closed
    /// form. Source: Kingma et al., *Variational Diffusion Models*, app. B, arXiv 2107.00630; Song
    /// et al., *Score-Based Generative Modeling through Stochastic Differential Equations*, eq. 5,
    /// arXiv 2011.13456.
    ///
    /// ```
    /// use ddm_schedule::{NoiseSchedule, SubVp};
    /// let (schedule, t) = (SubVp::new(0.1, 20.0)?, 0.3);
    /// let beta = 0.1 + t * 19.9; // dx = −½ β x dt + √(β (1 − e^(−2∫β))) dw
    /// assert!((schedule.drift(t) + 0.5 * beta).abs() < 1e-12);
    /// let (alpha, _) = schedule.alpha_sigma(t);
    /// assert!((schedule.diffusion(t).powi(2) - beta * (1.0 - alpha.powi(4))).abs() < 1e-12);
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    fn drift(&self, t: f64) -> f64 {
        let alpha = self.alpha_sigma(t.clamp(0.0, 1.0)).0;
        if alpha == 0.0 {
            return f64::NEG_INFINITY;
        }
        derivative(|t| self.alpha_sigma(t).0, t) / alpha
    }

    /// Returns the diffusion g(t) ≥ 0 of the forward SDE `dx = f x dt + g dw`, per root of the unit
    /// of t:
    ///
    /// ```text
    /// g² = dσ²/dt − 2 f σ² = −2 σ² dλ/dt
    /// ```
    ///
    /// It is ∞ where α = 0. Computed as [`drift`](Self::drift), with the same sources.
    fn diffusion(&self, t: f64) -> f64 {
        let (alpha, sigma) = self.alpha_sigma(t.clamp(0.0, 1.0));
        if alpha == 0.0 {
            return f64::INFINITY;
        }
        let of_variance = derivative(|t| self.alpha_sigma(t).1.powi(2), t);
        (of_variance - 2.0 * self.drift(t) * sigma * sigma).max(0.0).sqrt()
    }

    /// Returns the level at `t ∈ [0, 1]`.
    fn level(&self, t: f64) -> NoiseLevel {
        let (alpha, sigma) = self.alpha_sigma(t);
        NoiseLevel { timestep: self.timestep(t), alpha, sigma }
    }

    /// Returns the level at which `ln(α/σ) = λ`.
    fn level_at(&self, lambda: f64) -> NoiseLevel {
        self.level(self.time_at(lambda))
    }

    /// Returns the time in [0, 1] at which the schedule has a level's signal-to-noise ratio.
    fn time_of_level(&self, level: NoiseLevel) -> f64 {
        self.time_at(level.lambda())
    }
}
