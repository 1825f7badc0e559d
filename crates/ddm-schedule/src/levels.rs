//! The levels that a run visits, checked once.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::{GridError, NoiseLevel, NoiseSchedule};

/// The levels of a run, noisiest first: n steps visit n + 1 levels, each less noisy than the last.
///
/// Made by a [`Grid`](crate::Grid) or from explicit times, timesteps or levels. What is inside is
/// known to be good, so that sampling itself cannot fail.
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
    /// Takes levels as they are: at least 2, finite, σ/α strictly falling.
    pub fn new(levels: Vec<NoiseLevel>) -> Result<Self, GridError> {
        if levels.len() < 2 {
            return Err(GridError::TooFewLevels { found: levels.len() });
        }
        for (index, &NoiseLevel { t, alpha, sigma }) in levels.iter().enumerate() {
            let is_level = t.is_finite()
                && alpha.is_finite()
                && sigma.is_finite()
                && alpha >= 0.0
                && sigma >= 0.0
                && alpha + sigma > 0.0;
            if !is_level {
                return Err(GridError::NotALevel { index, alpha, sigma, t });
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

    /// The levels at strictly falling times in (0, 1], then the data (σ = 0).
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
        // Where the schedule itself stops short of σ = 0 the last step still goes all the way.
        levels.push(NoiseLevel { sigma: 0.0, ..schedule.level(0.0) });
        Self::new(levels)
    }

    /// The levels at strictly falling timesteps, the network's unit of time: rows 0 … T − 1 of a
    /// β table (or points between rows), 0 … 1000 of a continuous schedule; then the data.
    pub fn at_timesteps(
        schedule: &(impl NoiseSchedule + ?Sized),
        timesteps: impl IntoIterator<Item = f64>,
    ) -> Result<Self, GridError> {
        // The timestep is a straight line in t (T t − 1, or 1000 t): two points give its inverse.
        let (first, last) = (schedule.timestep(0.0), schedule.timestep(1.0));
        let mut times = Vec::new();
        for timestep in timesteps {
            if !(timestep >= 0.0 && timestep <= last) {
                return Err(GridError::NoSuchTimestep { timestep, last });
            }
            times.push((timestep - first) / (last - first));
        }
        Self::at_times(schedule, times)
    }

    /// Number of steps: one less than levels.
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
