//! The validated levels of a run.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::spaced::Range;
use crate::{GridError, NoiseLevel, NoiseSchedule};

/// The levels of a run, noisiest first: n steps visit n + 1 levels, each less noisy than the last.
///
/// A [`Grid`](crate::Grid) creates them, or explicit times, timesteps, ratios or levels. They are
/// checked on creation, so that sampling itself cannot fail.
///
/// ```
/// use ddm_schedule::{Cosine, Levels};
/// let levels = Levels::at_times(&Cosine::default(), [0.9, 0.5, 0.1])?;
/// assert_eq!(levels.steps(), 3); // the last one goes from t = 0.1 to the data
/// assert!(Levels::at_times(&Cosine::default(), [0.5, 0.9]).is_err());
/// # Ok::<(), ddm_schedule::GridError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<NoiseLevel>", into = "Vec<NoiseLevel>")]
pub struct Levels(Vec<NoiseLevel>);

impl Levels {
    /// Creates a run of explicit levels: at least 2, finite, σ/α strictly falling.
    ///
    /// # Errors
    ///
    /// Returns [`GridError::TooFewLevels`], [`GridError::NotALevel`] or
    /// [`GridError::NotDecreasing`].
    pub fn new(levels: Vec<NoiseLevel>) -> Result<Self, GridError> {
        if levels.len() < 2 {
            return Err(GridError::TooFewLevels { found: levels.len() });
        }
        for (index, &NoiseLevel { timestep, alpha, sigma }) in levels.iter().enumerate() {
            let is_level = timestep.is_finite()
                && alpha.is_finite()
                && sigma.is_finite()
                && alpha >= 0.0
                && sigma >= 0.0
                && alpha + sigma > 0.0;
            if !is_level {
                return Err(GridError::NotALevel { index, alpha, sigma, timestep });
            }
        }
        for (index, pair) in levels.windows(2).enumerate() {
            let (before, after) = (pair[0].sigma / pair[0].alpha, pair[1].sigma / pair[1].alpha);
            if before <= after {
                return Err(GridError::NotDecreasing { index, before, after });
            }
        }
        Ok(Self(levels))
    }

    /// Returns the levels at strictly falling times t, then the data (σ = 0); a last time without
    /// noise is the data itself.
    ///
    /// The "sigmas" of flow models are times, since σ = t there, before any shift. (Those of other
    /// models are ratios σ/α: [`at_sigmas`](Self::at_sigmas).) Flux, `sigmas=[1.0, 0.75, 0.5,
    /// 0.25]` and `mu=1.15`:
    ///
    /// ```
    /// use ddm_schedule::{Levels, Shift, Shifted};
    /// let flux = Shifted::flow(Shift::exponential(1.15)?);
    /// let levels = Levels::at_times(&flux, [1.0, 0.75, 0.5, 0.25])?;
    /// assert_eq!((levels.steps(), levels[0].sigma), (4, 1.0));
    /// assert!((levels[1].sigma - 0.9045).abs() < 1e-4); // 0.75, shifted
    /// // As ratios the list would start at sigma/alpha = 1, half the noise.
    /// let halved = Levels::at_sigmas(&flux, [1.0, 0.75, 0.5, 0.25])?;
    /// assert!((halved[0].sigma - 0.5).abs() < 1e-12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`GridError::NoSuchTime`] if a time is outside [0, 1], [`GridError::NotDecreasing`]
    /// if they do not fall, and [`GridError::TooFewLevels`] if the list is empty.
    pub fn at_times(
        schedule: &(impl NoiseSchedule + ?Sized),
        times: impl IntoIterator<Item = f64>,
    ) -> Result<Self, GridError> {
        let mut levels = Vec::new();
        for time in times {
            if !(0.0..=1.0).contains(&time) {
                return Err(GridError::NoSuchTime { time });
            }
            levels.push(schedule.level(time));
        }
        if levels.last().is_some_and(|level| level.sigma == 0.0) {
            levels.pop();
        }
        // If the schedule ends above σ = 0, the last step still goes to the data.
        levels.push(NoiseLevel { sigma: 0.0, ..schedule.level(0.0) });
        Self::new(levels)
    }

    /// Returns the levels at strictly falling timesteps of the network: rows 0 … T − 1 of a
    /// β table (or points between rows), 0 … 1000 of a continuous schedule (or its own unit); then
    /// the data.
    ///
    /// # Errors
    ///
    /// Returns [`GridError::NoSuchTimestep`] if one is outside the schedule, and the errors of
    /// [`at_times`](Self::at_times).
    pub fn at_timesteps(
        schedule: &(impl NoiseSchedule + ?Sized),
        timesteps: impl IntoIterator<Item = f64>,
    ) -> Result<Self, GridError> {
        let row = schedule.steps().map_or(0.0, |rows| 1.0 / rows as f64);
        let (first, last) = (schedule.timestep(row), schedule.timestep(1.0));
        let mut times = Vec::new();
        for timestep in timesteps {
            if !(timestep >= first && timestep <= last) {
                return Err(GridError::NoSuchTimestep { timestep, first, last });
            }
            times.push(schedule.time_of(timestep));
        }
        Self::at_times(schedule, times)
    }

    /// Returns the levels at strictly falling ratios σ/α, then the data; a last ratio of 0 is the
    /// data itself.
    ///
    /// σ/α is the noise std in the coordinates x/α of variance-exploding processes. k-diffusion
    /// and diffusers call it sigma, except for flow models, whose sigmas are times: pass those to
    /// [`at_times`](Self::at_times).
    ///
    /// Published lists are rounded, so a ratio may exceed an end of the schedule by a relative
    /// 10⁻³; it is then replaced by that end.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, Levels};
    /// let table = BetaTable::scaled_linear(1000, 0.00085, 0.012).unwrap();
    /// // Align Your Steps (arXiv 2404.14507) for Stable Diffusion 1.5, whose σ_max is 14.6146.
    /// let levels = Levels::at_sigmas(&table, [14.615, 6.475, 3.861, 2.697, 1.886, 1.396])?;
    /// assert_eq!((levels.steps(), levels[0].timestep), (6, 999.0));
    /// assert!(Levels::at_sigmas(&table, [80.0, 1.0]).is_err());
    /// # Ok::<(), ddm_schedule::GridError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`GridError::NoSuchRatio`] if one is outside the schedule, and the errors of
    /// [`at_times`](Self::at_times).
    pub fn at_sigmas(
        schedule: &(impl NoiseSchedule + ?Sized),
        ratios: impl IntoIterator<Item = f64>,
    ) -> Result<Self, GridError> {
        let mut ratios: Vec<f64> = ratios.into_iter().collect();
        if ratios.last() == Some(&0.0) {
            ratios.pop();
        }
        let highest = Range::of(schedule).highest;
        let (alpha, sigma) = schedule.alpha_sigma(0.0);
        let lowest = sigma / alpha;
        let mut levels = Vec::new();
        for &ratio in &ratios {
            let reached = ratio >= lowest * (1.0 - 1e-3) && ratio <= highest * (1.0 + 1e-3);
            if !(ratio.is_finite() && ratio > 0.0 && reached) {
                return Err(GridError::NoSuchRatio { ratio, lowest, highest });
            }
            levels.push(match ratio {
                ratio if ratio >= highest => schedule.level(1.0),
                ratio if ratio <= lowest => schedule.level(0.0),
                ratio => schedule.level_at(-ratio.ln()),
            });
        }
        for (index, pair) in ratios.windows(2).enumerate() {
            if pair[0] <= pair[1] {
                return Err(GridError::NotDecreasing { index, before: pair[0], after: pair[1] });
            }
        }
        levels.push(NoiseLevel { sigma: 0.0, ..schedule.level(0.0) });
        Self::new(levels)
    }

    /// Removes a last level of σ = 0, so that the run ends at the least noise above 0. Other runs
    /// do not change.
    ///
    /// # Errors
    ///
    /// Returns [`GridError::TooFewLevels`] if only one level remains.
    pub fn without_data(mut self) -> Result<Self, GridError> {
        if self.last().is_some_and(|level| level.sigma == 0.0) {
            self.0.pop();
        }
        Self::new(self.0)
    }

    /// Replaces each timestep t by `timestep(t)`.
    ///
    /// Use it for a network trained on integer rows, if a spacing visits points between them:
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, Grid, Karras};
    /// let levels = Karras::default().levels(&BetaTable::default(), 10)?;
    /// let whole = levels.clone().with_timesteps(f64::round)?;
    /// assert!(levels[1].timestep.fract() != 0.0 && whole[1].timestep == levels[1].timestep.round());
    /// # Ok::<(), ddm_schedule::GridError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`GridError::NotALevel`] if a new timestep is not finite.
    pub fn with_timesteps(mut self, timestep: impl Fn(f64) -> f64) -> Result<Self, GridError> {
        for level in &mut self.0 {
            level.timestep = timestep(level.timestep);
        }
        Self::new(self.0)
    }

    /// Returns every second level and the last: a run of half as many steps, rounded up, between the same
    /// ends.
    ///
    /// ```
    /// use ddm_schedule::{Cosine, Grid, Trailing};
    /// let halved = Trailing.levels(&Cosine::default(), 8)?.halved();
    /// assert_eq!(halved, Trailing.levels(&Cosine::default(), 4)?);
    /// # Ok::<(), ddm_schedule::GridError>(())
    /// ```
    #[must_use]
    pub fn halved(&self) -> Self {
        let (last, before) = (self.0.last(), self.0.iter().take(self.steps()).step_by(2));
        Self(before.chain(last).copied().collect())
    }

    /// Returns the number of steps: one less than the number of levels.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.0.len() - 1
    }
}

impl Deref for Levels {
    type Target = [NoiseLevel];
    fn deref(&self) -> &[NoiseLevel] {
        &self.0
    }
}

impl TryFrom<Vec<NoiseLevel>> for Levels {
    type Error = GridError;
    fn try_from(levels: Vec<NoiseLevel>) -> Result<Self, GridError> {
        Self::new(levels)
    }
}

impl From<Levels> for Vec<NoiseLevel> {
    fn from(levels: Levels) -> Self {
        levels.0
    }
}
