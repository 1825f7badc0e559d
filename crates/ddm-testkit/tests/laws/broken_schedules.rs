//! Schedules and grids that are broken on purpose: the laws catch each.

use ddm_schedule::{BetaTable, Cosine, Grid, GridError, Levels, LinearVp, NoiseSchedule, Trailing};
use ddm_testkit::{grid, schedule};

use crate::catches;

/// A cosine with one thing wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Slip {
    IntegerDivision,
    Backwards,
    NotANumber,
    Negative,
    LittleNoise,
    WrongInverse,
    WrongTimestep,
    BentTimestep,
    LevelOfAnother,
}

impl NoiseSchedule for Slip {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        let good = Cosine::default();
        match self {
            // i/T in integers is 0 until i = T: the slip of six code bases.
            Self::IntegerDivision => good.alpha_sigma(t.floor()),
            Self::Backwards => good.alpha_sigma(1.0 - t),
            Self::NotANumber if t > 0.5 => (f64::NAN, 1.0),
            Self::Negative => (1.0 - 1.1 * t, t),
            Self::LittleNoise => good.alpha_sigma(0.4 * t),
            _ => good.alpha_sigma(t),
        }
    }

    fn time_at(&self, lambda: f64) -> f64 {
        let wrong = if *self == Self::WrongInverse { 1e-3 } else { 0.0 };
        let exact = Cosine::default().time_at(lambda);
        exact + wrong * exact * (1.0 - exact)
    }

    fn steps(&self) -> Option<usize> {
        (*self == Self::WrongTimestep).then_some(100)
    }

    fn timestep(&self, t: f64) -> f64 {
        match self {
            Self::WrongTimestep => 100.0 * t,
            Self::BentTimestep => 1000.0 * t * t,
            _ => 1000.0 * t,
        }
    }

    fn level(&self, t: f64) -> ddm_schedule::NoiseLevel {
        let (alpha, sigma) = match self {
            Self::LevelOfAnother => LinearVp::default().alpha_sigma(t),
            _ => self.alpha_sigma(t),
        };
        ddm_schedule::NoiseLevel { timestep: self.timestep(t), alpha, sigma }
    }
}

#[test]
fn broken_schedules_are_caught() {
    for (slip, law) in [
        (Slip::IntegerDivision, "noise rises with time"),
        (Slip::Backwards, "noise rises with time"),
        (Slip::NotANumber, "alpha and sigma are a valid level"),
        (Slip::Negative, "alpha and sigma are a valid level"),
        (Slip::LittleNoise, "t = 0 is data and t = 1 is noise"),
        (Slip::WrongInverse, "time_at inverts lambda"),
        (Slip::WrongTimestep, "timesteps agree with times"),
        (Slip::BentTimestep, "timesteps agree with times"),
        (Slip::LevelOfAnother, "levels agree"),
    ] {
        println!("{slip:?}");
        catches(law, schedule::all(&slip));
    }
}

#[test]
fn a_table_that_never_gets_noisy_is_caught() {
    let short = BetaTable::linear(10, 1e-4, 0.02).unwrap();
    catches("t = 0 is data and t = 1 is noise", schedule::all(&short));
}

#[derive(Clone, Copy, Debug)]
enum BadGrid {
    AlwaysTen,
    TakesZero,
    OfAnother,
    TooFew,
}

impl Grid for BadGrid {
    fn levels(&self, schedule: &dyn NoiseSchedule, n: usize) -> Result<Levels, GridError> {
        match self {
            Self::AlwaysTen => Trailing.levels(schedule, 10),
            Self::TakesZero => Trailing.levels(schedule, n.max(1)),
            Self::OfAnother => Trailing.levels(&LinearVp::default(), n),
            Self::TooFew => Trailing.levels(schedule, n.min(40)),
        }
    }
}

#[test]
fn broken_grids_are_caught() {
    let (table, steps) = (BetaTable::cosine(100).unwrap(), [1, 10, 50]);
    for (broken, law) in [
        (BadGrid::AlwaysTen, "a grid has the requested steps"),
        (BadGrid::TakesZero, "a grid rejects invalid numbers of steps"),
        (BadGrid::OfAnother, "a grid visits levels of its schedule"),
        (BadGrid::TooFew, "a grid has the requested steps"),
    ] {
        println!("{broken:?}");
        catches(law, grid::all(&broken, &table, &steps));
    }
}
