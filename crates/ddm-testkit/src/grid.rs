//! The laws of [`Grid`].

use ddm_schedule::{Grid, Levels, NoiseSchedule};

use crate::Violation;

/// Every law of a grid on a schedule, for each number of steps.
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

/// A run of n steps has n steps: n + 1 levels.
pub fn has_its_steps(
    grid: &dyn Grid,
    schedule: &dyn NoiseSchedule,
    n: usize,
) -> Result<(), Violation> {
    const LAW: &str = "a grid has its steps";
    let levels = levels(LAW, grid, schedule, n)?;
    let (steps, count) = (levels.steps(), levels.len());
    let found = || format!("{steps} steps and {count} levels");
    Violation::unless(steps == n && count == n + 1, LAW, found, &format!("{n} and {}", n + 1))
}

/// Each level is strictly less noisy than the one before it.
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

/// Every level but the last is a level of the schedule; the last is one too, or σ = 0.
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
            || format!("{level:?} at place {i} of {n} steps"),
            &format!("{there:?}, the schedule's level of that lambda"),
        )
    })
}

/// The same question has the same answer.
pub fn repeats(grid: &dyn Grid, schedule: &dyn NoiseSchedule, n: usize) -> Result<(), Violation> {
    const LAW: &str = "a grid answers the same again";
    let (first, second) = (levels(LAW, grid, schedule, n)?, levels(LAW, grid, schedule, n)?);
    Violation::unless(first == second, LAW, || format!("{second:?}"), &format!("{first:?}"))
}

/// Zero steps are refused, and more steps than a table has.
pub fn refuses_nonsense(grid: &dyn Grid, schedule: &dyn NoiseSchedule) -> Result<(), Violation> {
    const LAW: &str = "a grid refuses what it cannot give";
    for n in [Some(0), schedule.steps().map(|steps| steps + 1)].into_iter().flatten() {
        if let Ok(levels) = grid.levels(schedule, n) {
            let found = format!("{} levels for {n} steps", levels.len());
            return Err(Violation::new(LAW, found, "an error"));
        }
    }
    Ok(())
}
