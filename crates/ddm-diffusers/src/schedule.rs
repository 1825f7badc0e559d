//! The schedule of iPNDM, which has no β table.

use std::f64::consts::FRAC_PI_2;

use ddm_schedule::NoiseSchedule;

/// `α = cos(π t/2)`, `σ = sin(π t/2)`; the network is told t itself.
pub(crate) struct Angle;

impl NoiseSchedule for Angle {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        match t {
            t if t >= 1.0 => (0.0, 1.0),
            t => ((FRAC_PI_2 * t.max(0.0)).cos(), (FRAC_PI_2 * t.max(0.0)).sin()),
        }
    }

    fn timestep(&self, t: f64) -> f64 {
        t
    }

    fn time_of(&self, timestep: f64) -> f64 {
        timestep
    }
}
