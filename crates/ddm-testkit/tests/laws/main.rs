//! Every built-in schedule, grid, parameterization, wrapper and sampler obeys the laws; what is
//! published of them is what they do; and what is broken on purpose is caught.

mod analytic;
mod broken_models;
mod broken_schedules;
mod chain;
mod claims;
mod covariance;
mod denoisers;
mod densities;
mod devices;
mod facts;
mod grids;
mod guidance;
mod guidance_branches;
mod guidance_gradients;
mod inpainting;
mod linear_combinations;
mod mixture_orders;
mod noise;
mod ownership;
mod precision;
mod refused;
mod samplers;
mod schedules;
mod serialised;
mod short_runs;

use ddm_testkit::Violation;

/// Fails with the violation's message.
#[track_caller]
fn holds(law: Result<(), Violation>) {
    if let Err(violation) = law {
        panic!("{violation}");
    }
}

/// Fails unless this law is violated.
#[track_caller]
fn catches(law: &str, outcome: Result<(), Violation>) {
    match outcome {
        Ok(()) => panic!("\"{law}\" let it pass"),
        Err(violation) => assert_eq!(violation.law, law, "{violation}"),
    }
}
