//! Grids that wrap another grid and change its end.

use serde::{Deserialize, Serialize};

use crate::spaced::Range;
use crate::{Grid, GridError, Invalid, Levels, NoiseLevel, NoiseSchedule};

/// A grid that ends at the schedule's least noise, σ_min, instead of the data.
///
/// σ_min is that of the first row (or of t = 0 if σ > 0 there). If the last step of the inner grid
/// already starts at σ_min (Karras, linspace), it is computed with one more step and its last step
/// is removed, so no step is empty; diffusers' `final_sigmas_type = "sigma_min"` has an empty step.
///
/// ```
/// use ddm_schedule::{BetaTable, FinalSigmaMin, Grid, Linspace, Trailing};
/// let rows = |grid: &dyn Grid| -> Vec<f64> {
///     grid.levels(&BetaTable::default(), 2).unwrap().iter().map(|level| level.timestep).collect()
/// };
/// assert_eq!(rows(&FinalSigmaMin(Trailing)), [999.0, 499.0, 0.0]);
/// assert_eq!(rows(&FinalSigmaMin(Linspace)), [999.0, 500.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalSigmaMin<G>(pub G);

impl<G: Grid> Grid for FinalSigmaMin<G> {
    fn levels(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Levels, GridError> {
        let Range { lowest, start, .. } = Range::of(schedule);
        let inner = self.0.levels(schedule, steps)?;
        let last = inner[inner.steps() - 1];
        if last.sigma / last.alpha <= lowest * (1.0 + 1e-9) {
            return self.0.levels(schedule, steps + 1)?.without_data();
        }
        let mut levels = Vec::from(inner);
        levels.pop();
        levels.push(schedule.level(start));
        Levels::new(levels)
    }
}

/// A grid on the straight path, stretched so that its last step starts at σ = `terminal`:
/// `σ' = 1 − (1 − σ)(1 − terminal)/(1 − σ_last)`.
///
/// Pure noise and the data do not move. Source: HaCohen et al., *LTX-Video*,
/// arXiv 2501.00103 (its code); diffusers' `shift_terminal`.
///
/// ```
/// use ddm_schedule::{Grid, RectifiedFlow, Stretched, Trailing};
/// let levels = Stretched::new(Trailing, 0.1)?.levels(&RectifiedFlow, 4)?;
/// let sigmas: Vec<f64> = levels.iter().map(|level| level.sigma).collect();
/// assert!((sigmas[1] - 0.7).abs() < 1e-12 && (sigmas[3] - 0.1).abs() < 1e-12);
/// assert_eq!((sigmas[0], sigmas[4]), (1.0, 0.0));
/// # Ok::<(), ddm_schedule::GridError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Terminal<G>")]
pub struct Stretched<G> {
    grid: G,
    terminal: f64,
}

impl<G> Stretched<G> {
    /// Creates a grid whose last step starts at σ = `terminal`, in (0, 1).
    ///
    /// # Errors
    ///
    /// Returns [`GridError::Invalid`] if `terminal` is out of range.
    pub fn new(grid: G, terminal: f64) -> Result<Self, GridError> {
        Invalid::require(terminal > 0.0 && terminal < 1.0, "terminal", terminal, "in (0, 1)")?;
        Ok(Self { grid, terminal })
    }
}

impl<G: Grid> Grid for Stretched<G> {
    fn levels(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Levels, GridError> {
        let mut levels = Vec::from(self.grid.levels(schedule, steps)?);
        let (data, noisy) = levels.split_last_mut().ok_or(GridError::NoSteps)?;
        for (index, &NoiseLevel { alpha, sigma, .. }) in noisy.iter().chain([&*data]).enumerate() {
            if (alpha + sigma - 1.0).abs() > 1e-9 {
                return Err(GridError::NotAFlow { index, alpha, sigma });
            }
        }
        let last = noisy.last().map_or(1.0, |level| level.alpha);
        // A run of pure noise alone cannot be stretched: 0/0.
        let scale = if last > 0.0 { (1.0 - self.terminal) / last } else { 1.0 };
        for level in noisy {
            let alpha = level.alpha * scale;
            let at = schedule.level_at((alpha / (1.0 - alpha)).ln());
            *level = NoiseLevel { timestep: at.timestep, alpha, sigma: 1.0 - alpha };
        }
        Levels::new(levels)
    }
}

#[derive(Deserialize)]
struct Terminal<G> {
    grid: G,
    terminal: f64,
}

impl<G> TryFrom<Terminal<G>> for Stretched<G> {
    type Error = GridError;
    fn try_from(raw: Terminal<G>) -> Result<Self, GridError> {
        Self::new(raw.grid, raw.terminal)
    }
}
