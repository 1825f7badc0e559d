//! The built-in schedules obey the laws.

use std::sync::Arc;

use ddm_schedule::{BetaTable, Cosine, GeometricSigmas, LinearVp, NoiseSchedule, RectifiedFlow};
use ddm_testkit::schedule;

use crate::holds;

/// Schedules of full length, with their names.
pub(crate) fn schedules() -> Vec<(&'static str, Box<dyn NoiseSchedule>)> {
    vec![
        ("ddpm", Box::new(BetaTable::default())),
        ("linear", Box::new(BetaTable::linear(1000, 1e-4, 0.02).unwrap())),
        ("scaled linear", Box::new(BetaTable::scaled_linear(1000, 0.00085, 0.012).unwrap())),
        ("cosine table", Box::new(BetaTable::cosine(1000).unwrap())),
        ("short cosine table", Box::new(BetaTable::cosine(50).unwrap())),
        ("cosine", Box::new(Cosine::default())),
        ("ladder", Box::new(GeometricSigmas::new(0.01, 50.0, 100).unwrap())),
        ("linear vp", Box::new(LinearVp::default())),
        ("flow", Box::new(RectifiedFlow)),
    ]
}

/// Tables of a few steps, with large β as such tables need.
pub(crate) fn tiny_tables() -> Vec<BetaTable> {
    vec![
        BetaTable::linear(1, 0.9, 0.9).unwrap(),
        BetaTable::linear(2, 0.3, 0.9).unwrap(),
        BetaTable::linear(4, 0.1, 0.9).unwrap(),
        BetaTable::scaled_linear(10, 0.05, 0.9).unwrap(),
        BetaTable::cosine(1).unwrap(),
        BetaTable::cosine(2).unwrap(),
        BetaTable::cosine(10).unwrap(),
    ]
}

#[test]
fn schedules_obey_the_laws() {
    for (name, schedule) in schedules() {
        println!("{name}");
        holds(schedule::all(&schedule));
    }
}

#[test]
fn tiny_tables_obey_the_laws() {
    for table in tiny_tables() {
        println!("{table:?}");
        holds(schedule::all(&table));
    }
}

#[test]
fn edges_of_the_parameters_obey_the_laws() {
    holds(schedule::all(&Cosine::new(0.0).unwrap()));
    holds(schedule::all(&Cosine::new(0.5).unwrap()));
    holds(schedule::all(&LinearVp::new(0.0, 20.0).unwrap()));
    holds(schedule::all(&LinearVp::new(10.0, 10.0).unwrap()));
    holds(schedule::all(&LinearVp::new(20.0, 0.1).unwrap()));
}

#[test]
fn pointers_to_schedules_obey_the_laws() {
    holds(schedule::all(&Arc::new(Cosine::default())));
    holds(schedule::all(&&BetaTable::default()));
    let boxed: Box<dyn NoiseSchedule> = Box::new(LinearVp::default());
    holds(schedule::all(&boxed));
}

/// One method is enough; the rest is bisection.
struct Minimal;

impl NoiseSchedule for Minimal {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        (1.0 - t * t, t)
    }
}

#[test]
fn the_default_methods_obey_the_laws() {
    holds(schedule::all(&Minimal));
}
