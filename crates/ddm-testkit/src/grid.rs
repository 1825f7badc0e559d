//! The laws of [`Grid`].

use ddm_schedule::{Grid, Levels, NoiseSchedule};

use crate::Violation;

/// Checks every law of a grid on a schedule, for each number of steps.
///
/// # Errors
///
/// Returns the first violation.
pub fn all(
    grid: &dyn Grid,
    schedule: &dyn NoiseSchedule,
    steps: &[usize],
) -> Result<(), Violation> {
    for &n in steps {
        has_its_steps(grid, schedule, n)?;
        noise_falls(grid, schedule, n)?;
        stays_inside(grid, schedule, n)?;
        repeats(grid, schedule, n)?;
    }
    refuses_nonsense(grid, schedule)
}

fn levels(
    law: &'static str,
    grid: &dyn Grid,
    schedule: &dyn NoiseSchedule,
    n: usize,
) -> Result<Levels, Violation> {
    grid.levels(schedule, n)
        .map_err(|error| Violation::new(law, format!("\"{error}\" for {n} steps"), "levels"))
}

/// Checks that a run of n steps has n steps and n + 1 levels.
///
/// # Errors
///
/// Returns the first violation.
pub fn has_its_steps(
    grid: &dyn Grid,
    schedule: &dyn NoiseSchedule,
    n: usize,
) -> Result<(), Violation> {
    const LAW: &str = "a grid has the requested steps";
    let levels = levels(LAW, grid, schedule, n)?;
    let (steps, count) = (levels.steps(), levels.len());
    let found = || format!("{steps} steps and {count} levels");
    Violation::unless(steps == n && count == n + 1, LAW, found, &format!("{n} and {}", n + 1))
}

/// Checks that each level is strictly less noisy than the previous one.
///
/// # Errors
///
/// Returns the first violation.
pub fn noise_falls(
    grid: &dyn Grid,
    schedule: &dyn NoiseSchedule,
    n: usize,
) -> Result<(), Violation> {
    const LAW: &str = "noise falls along a grid";
    levels(LAW, grid, schedule, n)?.windows(2).try_for_each(|pair| {
        Violation::unless(
            pair[0].lambda() < pair[1].lambda(),
            LAW,
            || format!("{:?}, then {:?}, of {n} steps", pair[0], pair[1]),
            "rising lambda",
        )
    })
}

/// Checks that every level is a level of the schedule; the last may be σ = 0 instead.
///
/// # Errors
///
/// Returns the first violation.
pub fn stays_inside(
    grid: &dyn Grid,
    schedule: &dyn NoiseSchedule,
    n: usize,
) -> Result<(), Violation> {
    const LAW: &str = "a grid visits levels of its schedule";
    let levels = levels(LAW, grid, schedule, n)?;
    let (first, last) = (schedule.timestep(0.0), schedule.timestep(1.0));
    levels.iter().enumerate().try_for_each(|(i, level)| {
        let there = schedule.level_at(level.lambda());
        let is_data = i == n && level.sigma == 0.0 && level.alpha > 0.0;
        let same = (level.alpha - there.alpha).abs() <= 1e-6
            && (level.sigma - there.sigma).abs() <= 1e-6
            && (first..=last).contains(&level.timestep);
        Violation::unless(
            is_data || same,
            LAW,
            || format!("{level:?} at index {i} of {n} steps"),
            &format!("{there:?}, the schedule's level of that lambda"),
        )
    })
}

/// Checks that repeated calls return the same levels.
///
/// # Errors
///
/// Returns the first violation.
pub fn repeats(grid: &dyn Grid, schedule: &dyn NoiseSchedule, n: usize) -> Result<(), Violation> {
    const LAW: &str = "a grid repeats its levels";
    let (first, second) = (levels(LAW, grid, schedule, n)?, levels(LAW, grid, schedule, n)?);
    Violation::unless(first == second, LAW, || format!("{second:?}"), &format!("{first:?}"))
}

/// Checks that zero steps, and more steps than rows of a table, are errors.
///
/// # Errors
///
/// Returns the first violation.
pub fn refuses_nonsense(grid: &dyn Grid, schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    const LAW: &str = "a grid rejects invalid numbers of steps";
    for n in [Some(0), schedule.steps().map(|steps| steps + 1)].into_iter().flatten() {
        if let Ok(levels) = grid.levels(schedule, n) {
            let found = format!("{} levels for {n} steps", levels.len());
            return Err(Violation::new(LAW, found, "an error"));
        }
    }
    Ok(())
}
