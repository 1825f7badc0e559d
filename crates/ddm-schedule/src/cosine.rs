//! The cosine schedule: as a β table and continuous.

use std::f64::consts::FRAC_PI_2;

use serde::{Deserialize, Serialize};

use crate::{BetaTable, Invalid, NoiseSchedule, ScheduleError};

impl BetaTable {
    /// Creates the cosine table: `β_i = min(1 − f((i+1)/T)/f(i/T), 0.999)`, `f(t) = cos²((t + s)/(1
    /// + s) · π/2)`, with s = 0.008.
    ///
    /// Source: Nichol & Dhariwal, *Improved Denoising Diffusion Probabilistic Models*, eq. 17,
    /// arXiv 2102.09672. diffusers calls it `squaredcos_cap_v2`. The quotients are real numbers:
    /// integer division of i by T, an easy slip, gives β = 0 in all rows but the last.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, NoiseSchedule};
    /// let table = BetaTable::cosine(1000)?;
    /// let (alpha, sigma) = table.alpha_sigma(0.5);
    /// assert!((alpha * alpha - 0.4939).abs() < 1e-3 && (sigma * sigma - 0.5061).abs() < 1e-3);
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::NoSteps`] if `steps` is 0.
    pub fn cosine(steps: usize) -> Result<Self, ScheduleError> {
        let cosine = Cosine::default();
        let f = |i: usize| cosine.angle(i as f64 / steps as f64).cos().powi(2);
        Self::new((0..steps).map(|i| (1.0 - f(i + 1) / f(i)).min(0.999)))
    }
}

/// The continuous cosine schedule: `ᾱ(t) = f(t)/f(0)`, `f(t) = cos²((t + s)/(1 + s) · π/2)`,
/// `α = √ᾱ`, `σ² = 1 − ᾱ`.
///
/// At t = 1 there is no signal (α = 0 exactly), so the network must predict v, x₀ or flow, not ε.
/// Default s = 0.008. Source: Nichol & Dhariwal, eq. 17, arXiv 2102.09672.
///
/// ```
/// use ddm_schedule::{Cosine, NoiseSchedule};
/// assert_eq!(Cosine::default().alpha_sigma(1.0), (0.0, 1.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Offset")]
pub struct Cosine {
    s: f64,
}

impl Cosine {
    /// Creates the schedule of offset s in [0, 1000]; a small s > 0 prevents very small first
    /// steps.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] if s is out of range. (α loses precision at larger s.)
    pub fn new(s: f64) -> Result<Self, ScheduleError> {
        Invalid::require((0.0..=1000.0).contains(&s), "s", s, "from 0 to 1000")?;
        Ok(Self { s })
    }

    fn angle(&self, t: f64) -> f64 {
        (t + self.s) / (1.0 + self.s) * FRAC_PI_2
    }
}

impl Default for Cosine {
    fn default() -> Self {
        Self { s: 0.008 }
    }
}

impl NoiseSchedule for Cosine {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        if t >= 1.0 {
            return (0.0, 1.0);
        }
        let (angle, start) = (self.angle(t.max(0.0)), self.angle(0.0));
        let alpha = angle.cos() / start.cos();
        // cos²a − cos²b = sin(b − a) sin(b + a), which is precise near t = 0.
        let sigma = ((angle - start).sin() * (angle + start).sin()).sqrt() / start.cos();
        (alpha, sigma)
    }

    /// Closed form: `cos(angle) = cos(angle₀) α` with `α² = 1/(1 + e^(−2λ))`, computed as an
    /// arc tangent, which is precise at both ends.
    fn time_at(&self, lambda: f64) -> f64 {
        let start = self.angle(0.0);
        let alpha = 1.0 / (1.0 + (-2.0 * lambda).exp()).sqrt();
        let sigma = 1.0 / (1.0 + (2.0 * lambda).exp()).sqrt();
        // sin² = sin²(angle₀) + cos²(angle₀) σ²: from α² + σ² = 1.
        let angle = start.sin().hypot(start.cos() * sigma).atan2(start.cos() * alpha);
        (angle / FRAC_PI_2 * (1.0 + self.s) - self.s).clamp(0.0, 1.0)
    }

    /// `f = −tan(angle) dangle/dt`; −∞ at t = 1.
    fn drift(&self, t: f64) -> f64 {
        if t >= 1.0 {
            return f64::NEG_INFINITY; // the f64 nearest to π/2 has a finite tangent
        }
        -self.angle(t.max(0.0)).tan() * FRAC_PI_2 / (1.0 + self.s)
    }

    /// `g² = −2 f`, as for every variance-preserving process.
    fn diffusion(&self, t: f64) -> f64 {
        (-2.0 * self.drift(t)).sqrt()
    }
}

#[derive(Deserialize)]
struct Offset {
    s: f64,
}

impl TryFrom<Offset> for Cosine {
    type Error = ScheduleError;
    fn try_from(offset: Offset) -> Result<Self, ScheduleError> {
        Self::new(offset.s)
    }
}
