//! Grids that space the ratio σ/α between the ends of a schedule.
//!
//! The ends are σ_max, the ratio at t = 1, and σ_min: the ratio at t = 0 if it is above 0, else
//! at the first row (t = 1/T for a β table, 1/1000 for a continuous schedule). Levels may lie
//! between rows; the last step goes to the data.

use serde::{Deserialize, Serialize};

use crate::{Grid, GridError, Levels, NoiseSchedule, spacing};

/// The ends of a schedule in σ/α.
pub(crate) struct Range {
    pub(crate) highest: f64,
    pub(crate) lowest: f64,
    /// The time of the lowest ratio.
    pub(crate) start: f64,
}

impl Range {
    pub(crate) fn of(schedule: &(impl NoiseSchedule + ?Sized)) -> Self {
        let ratio = |t| {
            let (alpha, sigma) = schedule.alpha_sigma(t);
            sigma / alpha
        };
        let row = 1.0 / schedule.steps().unwrap_or(1000) as f64;
        let start = if ratio(0.0) > 0.0 { 0.0 } else { row };
        Self { highest: ratio(1.0), lowest: ratio(start), start }
    }

    fn finite(schedule: &(impl NoiseSchedule + ?Sized)) -> Result<Self, GridError> {
        let range = Self::of(schedule);
        if range.highest.is_finite() { Ok(range) } else { Err(GridError::InfiniteNoise) }
    }
}

/// The grid of [`spacing::karras`] between the ends of the schedule. Default: ρ = 7.
///
/// ```
/// use ddm_schedule::{BetaTable, Cosine, Grid, GridError, Karras, NoiseSchedule};
/// let table = BetaTable::scaled_linear(1000, 0.00085, 0.012).unwrap();
/// let levels = Karras::default().levels(&table, 8)?;
/// let ratio = levels[1].sigma / levels[1].alpha;
/// assert!((levels[0].timestep, levels[7].timestep) == (999.0, 0.0) && (ratio - 7.902945).abs() < 1e-5);
/// // At pure noise σ/α is infinite.
/// assert_eq!(Karras::default().levels(&Cosine::default(), 10), Err(GridError::InfiniteNoise));
/// # Ok::<(), GridError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Exponent")]
pub struct Karras {
    rho: f64,
}

impl Karras {
    /// Creates the grid of exponent ρ, finite and above 0.
    ///
    /// # Errors
    ///
    /// Returns [`GridError::Invalid`] if ρ is out of range.
    pub fn new(rho: f64) -> Result<Self, GridError> {
        spacing::positive("rho", rho)?;
        Ok(Self { rho })
    }
}

impl Default for Karras {
    fn default() -> Self {
        Self { rho: 7.0 }
    }
}

impl Grid for Karras {
    fn levels(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Levels, GridError> {
        let Range { highest, lowest, .. } = Range::finite(schedule)?;
        Levels::at_sigmas(schedule, spacing::karras(steps, highest, lowest, self.rho)?)
    }
}

/// The grid of [`spacing::exponential`] between the ends of the schedule: uniform in λ.
///
/// It is also known as the λ spacing of Lu et al. For the "logSNR" steps of DPM-Solver,
/// which end at σ_min, wrap it in [`FinalSigmaMin`](crate::FinalSigmaMin).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[doc(alias = "LuLambda")]
#[doc(alias = "UniformLambda")]
pub struct Exponential;

impl Grid for Exponential {
    fn levels(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Levels, GridError> {
        let Range { highest, lowest, .. } = Range::finite(schedule)?;
        Levels::at_sigmas(schedule, spacing::exponential(steps, highest, lowest)?)
    }
}

/// The grid of [`spacing::beta`] between the ends of the schedule. Default: α = β = 0.6.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Shape")]
pub struct BetaSpaced {
    alpha: f64,
    beta: f64,
}

impl BetaSpaced {
    /// Creates the grid from the two parameters of the beta distribution, finite and above 0.
    ///
    /// # Errors
    ///
    /// Returns [`GridError::Invalid`] if a value is out of range.
    pub fn new(alpha: f64, beta: f64) -> Result<Self, GridError> {
        spacing::positive("alpha", alpha)?;
        spacing::positive("beta", beta)?;
        Ok(Self { alpha, beta })
    }
}

impl Default for BetaSpaced {
    fn default() -> Self {
        Self { alpha: 0.6, beta: 0.6 }
    }
}

impl Grid for BetaSpaced {
    fn levels(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Levels, GridError> {
        let Range { highest, lowest, .. } = Range::finite(schedule)?;
        let ratios = spacing::beta(steps, highest, lowest, self.alpha, self.beta)?;
        Levels::at_sigmas(schedule, ratios)
    }
}

#[derive(Deserialize)]
struct Exponent {
    rho: f64,
}

impl TryFrom<Exponent> for Karras {
    type Error = GridError;
    fn try_from(exponent: Exponent) -> Result<Self, GridError> {
        Self::new(exponent.rho)
    }
}

#[derive(Deserialize)]
struct Shape {
    alpha: f64,
    beta: f64,
}

impl TryFrom<Shape> for BetaSpaced {
    type Error = GridError;
    fn try_from(shape: Shape) -> Result<Self, GridError> {
        Self::new(shape.alpha, shape.beta)
    }
}
