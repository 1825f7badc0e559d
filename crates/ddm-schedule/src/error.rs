//! Errors of schedules and grids.

use thiserror::Error;

use crate::Invalid;

/// An invalid noise schedule.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A β table without rows.
    #[error("the beta table is empty, but must have at least 1 row")]
    NoSteps,
    /// A β out of range.
    #[error("beta[{step}] = {beta}, but must be above 0 and below 1; only the last may be 1")]
    Beta {
        /// The row of the table.
        step: usize,
        /// The β of that row.
        beta: f64,
    },
    /// A row that does not lower λ in `f64`, or makes it infinite before the last row.
    #[error(
        "beta[{step}] = {beta} takes lambda = ln(alpha/sigma) from {before} to {after}, but every \
         row must lower it, and only a last beta of 1 may end at alpha = 0; use larger betas if \
         lambda does not change, fewer rows or smaller betas if alpha underflows"
    )]
    NotFalling {
        /// The row of the table.
        step: usize,
        /// The β of that row.
        beta: f64,
        /// λ before the row.
        before: f64,
        /// λ after the row.
        after: f64,
    },
    /// A setting out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// An invalid number of steps, or invalid levels of a run.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum GridError {
    /// A run without steps.
    #[error("a run of 0 steps is empty; use at least 1 step")]
    NoSteps,
    /// More steps than the schedule has rows.
    #[error(
        "a run of {steps} steps is longer than this schedule, which has {available} rows; use at \
         most {available} steps"
    )]
    TooManySteps {
        /// The number of steps of the run.
        steps: usize,
        /// The number of rows of the schedule.
        available: usize,
    },
    /// A timestep outside the schedule.
    #[error(
        "timestep {timestep} is outside the schedule, whose timesteps are {first} to {last}; \
         choose timesteps in that range, or lower the offset of the grid (steps_offset)"
    )]
    NoSuchTimestep {
        /// The timestep.
        timestep: f64,
        /// The schedule's first timestep.
        first: f64,
        /// The schedule's last timestep.
        last: f64,
    },
    /// A time outside [0, 1].
    #[error(
        "time {time} is outside the schedule, whose times are 0 (data) to 1 (noise); choose times in \
         that range"
    )]
    NoSuchTime {
        /// The time.
        time: f64,
    },
    /// A setting out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A spacing of σ/α on a schedule that ends in pure noise.
    #[error(
        "the schedule ends in pure noise (alpha = 0), where sigma/alpha is infinite and cannot be \
         spaced; use a table with a finite end (BetaTable::with_finite_sigma), a grid in time \
         such as Trailing, or your own list with Levels::at_sigmas"
    )]
    InfiniteNoise,
    /// A ratio σ/α outside the schedule.
    #[error(
        "sigma/alpha = {ratio} is outside the schedule, whose ratios are {lowest} to {highest}; \
         choose finite ratios above 0 in that range (the sigmas of a flow model are times: use \
         Levels::at_times)"
    )]
    NoSuchRatio {
        /// The ratio.
        ratio: f64,
        /// The schedule's least ratio.
        lowest: f64,
        /// The schedule's greatest ratio.
        highest: f64,
    },
    /// A strength outside (0, 1], or too small to keep a step.
    #[error(
        "strength = {strength} of {steps} steps, but strength must be above 0, at most 1, and at \
         least 1/{steps} to keep a step"
    )]
    Strength {
        /// The strength.
        strength: f64,
        /// The number of steps of the whole run.
        steps: usize,
    },
    /// A start at or after the last step.
    #[error(
        "none of the {steps} steps remains after the start of the run; start at a noisier level, \
         or skip fewer steps"
    )]
    NothingLeft {
        /// The number of steps of the whole run.
        steps: usize,
    },
    /// A level that is not on the straight path.
    #[error(
        "level {index} has alpha = {alpha}, sigma = {sigma}, but only a rectified flow \
         (alpha + sigma = 1) can be stretched to a terminal sigma"
    )]
    NotAFlow {
        /// The index of the level.
        index: usize,
        /// Its signal scale α.
        alpha: f64,
        /// Its noise std σ.
        sigma: f64,
    },
    /// Fewer than two levels.
    #[error("a run needs at least 2 levels, a start and an end; {found} given")]
    TooFewLevels {
        /// The number of levels.
        found: usize,
    },
    /// An invalid noise level.
    #[error(
        "level {index} has timestep = {timestep}, alpha = {alpha}, sigma = {sigma}, but all three \
         must be finite, alpha and sigma at least 0, and one of them above 0"
    )]
    NotALevel {
        /// The index of the level.
        index: usize,
        /// Its signal scale α.
        alpha: f64,
        /// Its noise std σ.
        sigma: f64,
        /// The timestep.
        timestep: f64,
    },
    /// A level that is not less noisy than the one before it.
    #[error(
        "sigma/alpha is {before} at level {index} and {after} at level {}, but levels must have \
         strictly falling noise; order explicit levels from noise to data without repeats, or use \
         fewer steps if a grid or config repeats a level",
        .index + 1
    )]
    NotDecreasing {
        /// The index of the first level of the pair.
        index: usize,
        /// σ/α there.
        before: f64,
        /// σ/α at the next level.
        after: f64,
    },
}
