//! The shift of time for high resolutions.

use serde::{Deserialize, Serialize};

use crate::{Invalid, NoiseSchedule, RectifiedFlow, ScheduleError};

/// The shift of time `t' = s t/(1 + (s − 1) t)`, which fixes 0 and 1 and for s > 1 moves times
/// between them towards noise.
///
/// On the straight path (σ = t) it multiplies σ/α by s. Source: Esser et al., *Scaling Rectified
/// Flow Transformers for High-Resolution Image Synthesis*, eq. 23, arXiv 2403.03206.
///
/// ```
/// use ddm_schedule::Shift;
/// assert_eq!(Shift::new(3.0)?.apply(0.5), 0.75);
/// assert!(Shift::new(0.0).is_err());
/// # Ok::<(), ddm_schedule::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Shift(f64);

impl Shift {
    /// Creates the shift of factor s, finite and above 0 (Stable Diffusion 3: 3); 1 is the
    /// identity.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] if s is out of range.
    pub fn new(s: f64) -> Result<Self, ScheduleError> {
        Invalid::require(s.is_finite() && s > 0.0, "shift", s, "finite and above 0")?;
        Ok(Self(s))
    }

    /// Creates the shift `t' = e^μ/(e^μ + 1/t − 1)`, of factor s = e^μ: diffusers' `exponential`
    /// time shift (Flux). For μ see [`ResolutionShift`](crate::ResolutionShift).
    ///
    /// ```
    /// use ddm_schedule::Shift;
    /// let e = 1_f64.exp();
    /// assert!((Shift::exponential(1.0)?.apply(0.5) - e / (e + 1.0)).abs() < 1e-15);
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] if e^μ is 0 or not finite.
    pub fn exponential(mu: f64) -> Result<Self, ScheduleError> {
        let s = mu.exp();
        let allowed = "finite and such that e^mu is a positive number";
        Invalid::require(s.is_finite() && s > 0.0, "mu", mu, allowed)?;
        Ok(Self(s))
    }

    /// Creates the shift `t' = μ/(μ + 1/t − 1)`, of factor s = μ: diffusers' `linear` time shift.
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::Invalid`] unless μ is finite and above 0.
    pub fn linear(mu: f64) -> Result<Self, ScheduleError> {
        Invalid::require(mu.is_finite() && mu > 0.0, "mu", mu, "finite and above 0")?;
        Ok(Self(mu))
    }

    /// Returns the factor s.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.0
    }

    /// Returns `t' = s t/(1 + (s − 1) t)`.
    #[must_use]
    pub fn apply(&self, t: f64) -> f64 {
        // 1 − t + s t rather than 1 + (s − 1) t: exact at both ends.
        self.0 * t / ((1.0 - t) + self.0 * t)
    }

    /// Returns `dt'/dt = s/((1 − t) + s t)²`.
    fn speed(&self, t: f64) -> f64 {
        let slowed = (1.0 - t) + self.0 * t;
        self.0 / slowed / slowed // a square would overflow where s is large
    }

    /// Returns the t whose shift is t', by a shift of 1/s.
    #[must_use]
    pub fn undo(&self, shifted: f64) -> f64 {
        shifted / (self.0 * (1.0 - shifted) + shifted)
    }
}

/// The identity, s = 1.
impl Default for Shift {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TryFrom<f64> for Shift {
    type Error = ScheduleError;
    fn try_from(s: f64) -> Result<Self, ScheduleError> {
        Self::new(s)
    }
}

impl From<Shift> for f64 {
    fn from(shift: Shift) -> Self {
        shift.0
    }
}

/// A schedule in shifted time: its (α, σ) and timestep at t are those of the inner schedule at
/// [`Shift::apply`]`(t)`.
///
/// It is meant for [`RectifiedFlow`], where the timestep becomes 1000 σ with the shifted σ. A
/// shifted β table is treated as continuous.
///
/// ```
/// use ddm_schedule::{Grid, NoiseSchedule, Shift, Shifted, Trailing};
/// let sd3 = Shifted::flow(Shift::new(3.0)?);
/// assert_eq!(sd3.alpha_sigma(0.5), (0.25, 0.75));
/// let timesteps: Vec<f64> = Trailing.levels(&sd3, 2)?.iter().map(|level| level.timestep).collect();
/// assert_eq!(timesteps, [1000.0, 750.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shifted<S> {
    schedule: S,
    shift: Shift,
}

impl<S> Shifted<S> {
    /// Shifts the time of `schedule`.
    pub fn new(schedule: S, shift: Shift) -> Self {
        Self { schedule, shift }
    }
}

impl Shifted<RectifiedFlow> {
    /// Creates the straight path with `σ = s t/(1 + (s − 1) t)`.
    pub fn flow(shift: Shift) -> Self {
        Self::new(RectifiedFlow, shift)
    }
}

impl<S: NoiseSchedule> NoiseSchedule for Shifted<S> {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        self.schedule.alpha_sigma(self.shift.apply(t.clamp(0.0, 1.0)))
    }

    fn timestep(&self, t: f64) -> f64 {
        self.schedule.timestep(self.shift.apply(t.clamp(0.0, 1.0)))
    }

    fn time_of(&self, timestep: f64) -> f64 {
        self.shift.undo(self.schedule.time_of(timestep))
    }

    /// The time of the inner schedule, with the shift undone.
    fn time_at(&self, lambda: f64) -> f64 {
        self.shift.undo(self.schedule.time_at(lambda))
    }

    /// The drift of the inner schedule times `dt'/dt`.
    fn drift(&self, t: f64) -> f64 {
        let t = t.clamp(0.0, 1.0);
        self.schedule.drift(self.shift.apply(t)) * self.shift.speed(t)
    }

    /// The diffusion of the inner schedule times `√(dt'/dt)`.
    fn diffusion(&self, t: f64) -> f64 {
        let t = t.clamp(0.0, 1.0);
        self.schedule.diffusion(self.shift.apply(t)) * self.shift.speed(t).sqrt()
    }
}
