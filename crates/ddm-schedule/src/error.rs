//! What can be wrong with a schedule or a grid. Each says the value and what is allowed.

use thiserror::Error;

use crate::Invalid;

/// A schedule that cannot be made.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ScheduleError {
    /// A β table has no rows.
    #[error("the beta table is empty; it needs at least 1 step")]
    NoSteps,
    /// A β is no probability.
    #[error("beta[{step}] = {beta}, but every beta must be in (0, 1), the last at most 1")]
    Beta {
        /// Row of the table.
        step: usize,
        /// The value that was given.
        beta: f64,
    },
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// A grid that the schedule cannot give, or levels that no run can visit.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum GridError {
    /// No steps.
    #[error("0 steps were asked for; a run needs at least 1")]
    NoSteps,
    /// More steps than the schedule has.
    #[error("{steps} steps were asked for, but the schedule has only {available}")]
    TooManySteps {
        /// Steps that were asked for.
        steps: usize,
        /// Steps of the schedule.
        available: usize,
    },
    /// A timestep that the schedule does not have.
    #[error(
        "timestep {timestep} was asked for, but the schedule's timesteps are {first} to {last}"
    )]
    NoSuchTimestep {
        /// The timestep that was asked for.
        timestep: f64,
        /// The schedule's first timestep.
        first: f64,
        /// The schedule's last timestep.
        last: f64,
    },
    /// A time outside [0, 1].
    #[error("time {time} was asked for, but times must be finite and in [0, 1]")]
    NoSuchTime {
        /// The time that was asked for.
        time: f64,
    },
    /// A setting is outside its range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Ratios were asked of a schedule that has no signal left at its end.
    #[error(
        "the schedule ends with alpha = 0, where sigma/alpha is infinite and cannot be spaced; \
         take a table with a finite end (BetaTable::with_finite_sigma), or space ratios of your \
         own and take Levels::at_sigmas"
    )]
    InfiniteNoise,
    /// A ratio σ/α that is none, or that the schedule does not reach.
    #[error(
        "sigma/alpha = {ratio} was asked for, but the schedule's are {lowest} to {highest}, \
         and they must be finite and above 0"
    )]
    NoSuchRatio {
        /// The ratio that was asked for.
        ratio: f64,
        /// The schedule's least.
        lowest: f64,
        /// The schedule's greatest.
        highest: f64,
    },
    /// A strength that leaves nothing to do, or is none.
    #[error(
        "strength = {strength} of {steps} steps, but it must be in (0, 1] and leave at least 1 step"
    )]
    Strength {
        /// The strength that was given.
        strength: f64,
        /// Steps of the whole run.
        steps: usize,
    },
    /// Every step was left out.
    #[error("no step is left: the start lies at or past the last of {steps} steps")]
    NothingLeft {
        /// Steps of the whole run.
        steps: usize,
    },
    /// A stretch of a path that is not the straight one.
    #[error(
        "level {index} has alpha = {alpha}, sigma = {sigma}; only the straight path, \
         alpha + sigma = 1, can be stretched"
    )]
    NotAFlow {
        /// Its place in the grid.
        index: usize,
        /// Signal scale.
        alpha: f64,
        /// Noise std.
        sigma: f64,
    },
    /// Too few levels.
    #[error("a run needs at least 2 levels, a start and an end; {found} given")]
    TooFewLevels {
        /// Number of levels given.
        found: usize,
    },
    /// A level that is none.
    #[error(
        "level {index} has alpha = {alpha}, sigma = {sigma}, timestep = {timestep}; they must be finite, \
         alpha and sigma at least 0 and not both 0"
    )]
    NotALevel {
        /// Its place in the grid.
        index: usize,
        /// Signal scale.
        alpha: f64,
        /// Noise std.
        sigma: f64,
        /// The timestep.
        timestep: f64,
    },
    /// Noise does not fall.
    #[error(
        "levels must have falling noise: sigma/alpha is {before} at level {index} \
         and {after} at the next"
    )]
    NotDecreasing {
        /// The first level of the offending pair.
        index: usize,
        /// σ/α there.
        before: f64,
        /// σ/α at the next level.
        after: f64,
    },
}
