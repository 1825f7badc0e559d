//! What can be wrong with a schedule or a grid. Each says the value and what is allowed.

use thiserror::Error;

/// A schedule that cannot be made.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ScheduleError {
    /// A β table has no rows.
    #[error("the beta table is empty; it needs at least 1 step")]
    NoSteps,
    /// A β is no probability.
    #[error("beta[{step}] = {beta}, but every beta must be finite and in (0, 1)")]
    Beta {
        /// Row of the table.
        step: usize,
        /// The value that was given.
        beta: f64,
    },
    /// A parameter is outside its range.
    #[error("{name} = {value}, but must be {allowed}")]
    Parameter {
        /// Which parameter.
        name: &'static str,
        /// The value that was given.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl ScheduleError {
    /// `Ok` if `holds`, else the error that names the parameter.
    pub(crate) fn require(
        holds: bool,
        name: &'static str,
        value: f64,
        allowed: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Parameter { name, value, allowed }) }
    }
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
    #[error("timestep {timestep} was asked for, but the schedule's timesteps are 0 to {last}")]
    NoSuchTimestep {
        /// The timestep that was asked for.
        timestep: f64,
        /// The schedule's last timestep.
        last: f64,
    },
    /// A time outside [0, 1].
    #[error("time {time} was asked for, but times must be finite and in [0, 1]")]
    NoSuchTime {
        /// The time that was asked for.
        time: f64,
    },
    /// Too few levels.
    #[error("a run needs at least 2 levels, a start and an end; {found} given")]
    TooFewLevels {
        /// Number of levels given.
        found: usize,
    },
    /// A level that is none.
    #[error(
        "level {index} has alpha = {alpha}, sigma = {sigma}, t = {t}; they must be finite, \
         alpha and sigma at least 0 and not both 0"
    )]
    NotALevel {
        /// Its place in the grid.
        index: usize,
        /// Signal scale.
        alpha: f64,
        /// Noise std.
        sigma: f64,
        /// Time.
        t: f64,
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
