//! The laws of [`NoiseSchedule`].

use ddm_schedule::{Levels, NoiseSchedule};

use crate::{Violation, kernel};

/// The times at which laws are checked: 0, 0.001, …, 1.
pub(crate) fn times() -> impl Iterator<Item = f64> + Clone {
    (0..=1000).map(|i| f64::from(i) / 1000.0)
}

/// Checks every law of a schedule, and those of the [`kernel`]s between its levels.
///
/// # Errors
///
/// Returns the first violation.
pub fn all(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    has_levels(schedule)?;
    noise_rises(schedule)?;
    has_ends(schedule)?;
    time_at_inverts_lambda(schedule)?;
    levels_agree(schedule)?;
    timesteps_agree(schedule)?;
    kernel::all(schedule)
}

/// Checks that α and σ are finite, at least 0 and not both 0 at every t in [0, 1].
///
/// # Errors
///
/// Returns the first violation.
pub fn has_levels(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    let good = |value: f64| value.is_finite() && value >= 0.0;
    times().try_for_each(|t| {
        let (alpha, sigma) = schedule.alpha_sigma(t);
        Violation::unless(
            good(alpha) && good(sigma) && alpha + sigma > 0.0,
            "alpha and sigma are a valid level",
            || format!("alpha = {alpha}, sigma = {sigma} at t = {t}"),
            "finite, at least 0 and not both 0",
        )
    })
}

/// Checks that `α/σ` strictly falls from each t to the next.
///
/// # Errors
///
/// Returns the first violation.
pub fn noise_rises(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    times().zip(times().skip(1)).try_for_each(|(t, next)| {
        let ratio = |t| {
            let (alpha, sigma) = schedule.alpha_sigma(t);
            alpha / sigma
        };
        Violation::unless(
            ratio(t) > ratio(next),
            "noise rises with time",
            || {
                let (before, after) = (ratio(t), ratio(next));
                format!("alpha/sigma = {before} at t = {t} and {after} at t = {next}")
            },
            "alpha/sigma strictly falling in t",
        )
    })
}

/// Checks that one end is data and the other noise: `λ(0) > 1` and `λ(1) < 0`.
///
/// # Errors
///
/// Returns the first violation.
pub fn has_ends(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    let (data, noise) = (schedule.lambda(0.0), schedule.lambda(1.0));
    Violation::unless(
        data > 1.0 && noise < 0.0,
        "t = 0 is data and t = 1 is noise",
        || format!("lambda = {data} at t = 0 and {noise} at t = 1"),
        "lambda(0) > 1 and lambda(1) < 0",
    )
}

/// Checks that `time_at(λ(t)) = t`, and that a λ beyond the schedule is mapped to the nearer end.
///
/// # Errors
///
/// Returns the first violation.
pub fn time_at_inverts_lambda(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    const LAW: &str = "time_at inverts lambda";
    let demand = |lambda: f64, t: f64| {
        let found = schedule.time_at(lambda);
        Violation::unless(
            (found - t).abs() <= 1e-6,
            LAW,
            || format!("time_at({lambda}) = {found}"),
            &format!("{t} ± 1e-6"),
        )
    };
    times().try_for_each(|t| demand(schedule.lambda(t), t))?;
    demand(schedule.lambda(0.0) + 1.0, 0.0)?;
    demand(schedule.lambda(1.0) - 1.0, 1.0)?;
    demand(f64::INFINITY, 0.0)?;
    demand(f64::NEG_INFINITY, 1.0)
}

/// Checks that `level`, `level_at`, `lambda` and `timestep` agree at each t.
///
/// # Errors
///
/// Returns the first violation.
pub fn levels_agree(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    let unit = 1.0 + schedule.timestep(1.0).abs();
    times().try_for_each(|t| {
        let (alpha, sigma) = schedule.alpha_sigma(t);
        let timestep = schedule.timestep(t);
        let exact = schedule.level(t);
        let found = schedule.level_at(schedule.lambda(t));
        Violation::unless(
            (exact.timestep, exact.alpha, exact.sigma) == (timestep, alpha, sigma)
                && (found.timestep - timestep).abs() <= 1e-6 * unit
                && (found.alpha - alpha).abs() <= 1e-6
                && (found.sigma - sigma).abs() <= 1e-6,
            "levels agree",
            || format!("level is {exact:?} and level_at(lambda) is {found:?} at t = {t}"),
            &format!("timestep {timestep}, alpha {alpha}, sigma {sigma}"),
        )
    })
}

/// Checks that timesteps rise with t and map back to their levels, and that row k of a table lies
/// at `t = (k + 1)/T`.
///
/// # Errors
///
/// Returns the first violation.
pub fn timesteps_agree(schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    const LAW: &str = "timesteps agree with times";
    for (t, next) in times().zip(times().skip(1)) {
        let (before, after) = (schedule.timestep(t), schedule.timestep(next));
        Violation::unless(
            before < after,
            LAW,
            || format!("timestep {before} at t = {t} and {after} at t = {next}"),
            "rising timesteps",
        )?;
    }
    if let Some(steps) = schedule.steps() {
        for k in 0..steps {
            let (t, row) = ((k + 1) as f64 / steps as f64, k as f64);
            let found = schedule.timestep(t);
            Violation::unless(
                found == row,
                LAW,
                || format!("timestep {found} at t = {t}, of {steps} steps"),
                &format!("row {row}"),
            )?;
        }
    }
    let requested = [1.0, 0.7, 0.3].map(|t| schedule.timestep(t));
    let requested = requested.into_iter().filter(|&timestep| timestep >= 0.0);
    let levels = Levels::at_timesteps(schedule, requested.clone())
        .map_err(|error| Violation::from_error(LAW, error))?;
    requested.zip(levels.iter()).try_for_each(|(timestep, level)| {
        Violation::unless(
            (level.timestep - timestep).abs() <= 1e-6 * (1.0 + timestep),
            LAW,
            || format!("timestep {} from Levels::at_timesteps", level.timestep),
            &format!("{timestep}, as requested"),
        )
    })
}
