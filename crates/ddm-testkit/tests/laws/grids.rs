//! The built-in grids obey the laws on every schedule.

use ddm_schedule::{BetaTable, Cosine, Grid, Leading, Levels, Linspace, NoiseSchedule, Trailing};
use ddm_testkit::{compare, grid};

use crate::{
    holds,
    schedules::{schedules, tiny_tables},
};

const GRIDS: [&dyn Grid; 3] = [&Trailing, &Leading { offset: 0 }, &Linspace];

#[test]
fn grids_obey_the_laws() {
    for (name, schedule) in schedules() {
        let longest = schedule.steps().unwrap_or(1000);
        for grid in GRIDS {
            println!("{name}");
            holds(grid::all(grid, &schedule, &[1, 2, 3, 7, 10, 33, longest / 2, longest]));
        }
        holds(grid::all(&Leading { offset: 1 }, &schedule, &[1, 10, 13]));
    }
}

#[test]
fn grids_obey_the_laws_on_tiny_tables() {
    for table in tiny_tables() {
        let steps: Vec<usize> = (1..=table.betas().len()).collect();
        for grid in GRIDS {
            holds(grid::all(grid, &table, &steps));
        }
    }
}

#[test]
fn a_continuous_schedule_has_room_for_more_than_1000_steps() {
    holds(grid::all(&Trailing, &Cosine::default(), &[1001, 1500]));
    holds(grid::all(&Linspace, &Cosine::default(), &[1001, 1500]));
}

#[test]
fn boxed_grids_obey_the_laws() {
    let boxed: Box<dyn Grid> = Box::new(Trailing);
    holds(grid::all(&boxed, &Cosine::default(), &[1, 20]));
    holds(grid::all(&&Linspace, &Cosine::default(), &[1, 20]));
}

#[test]
fn as_many_steps_as_rows_visit_every_row() {
    let table = BetaTable::cosine(37).unwrap();
    for grid in GRIDS {
        let rows = grid.levels(&table, 37).unwrap();
        assert!(rows.iter().map(|level| level.timestep).eq((-1..37).rev().map(f64::from)));
    }
}

/// The k-diffusion grid: levels of given λ, as an implementor may write it.
struct UniformLambda;

impl Grid for UniformLambda {
    fn levels(
        &self,
        schedule: &dyn NoiseSchedule,
        steps: usize,
    ) -> Result<Levels, ddm_schedule::GridError> {
        if steps == 0 || schedule.steps().is_some_and(|available| steps > available) {
            return Err(ddm_schedule::GridError::NoSteps);
        }
        let stride = 8.0 / steps as f64;
        let lambdas = (0..=steps).map(|i| -4.0 + stride * i as f64);
        Levels::new(lambdas.map(|lambda| schedule.level_at(lambda)).collect())
    }
}

#[test]
fn a_grid_may_end_above_the_data() {
    holds(grid::all(&UniformLambda, &Cosine::default(), &[1, 8, 40]));
    holds(grid::all(&UniformLambda, &BetaTable::default(), &[1, 8, 40]));
}

#[test]
fn explicit_timesteps_are_the_levels_of_a_run() {
    let table = BetaTable::default();
    let levels = Levels::at_timesteps(&table, [999.0, 500.5, 3.0]).unwrap();
    let found: Vec<f64> = levels.iter().map(|level| level.timestep).collect();
    holds(compare::close("timesteps", &found, &[999.0, 500.5, 3.0, -1.0], 1e-12));
    assert_eq!(levels[0], table.level(1.0));
    assert_eq!(levels.last().map(|level| level.sigma), Some(0.0));
}
