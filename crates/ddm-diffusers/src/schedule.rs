//! The schedule of iPNDM and TrigFlow, which have no β table.

use std::f64::consts::FRAC_PI_2;

use ddm_schedule::NoiseSchedule;

use crate::Class;
use crate::settings::Settings;

/// The schedule `α = cos(π t/2)`, `σ = σ_d sin(π t/2)`.
pub(crate) struct Angle {
    sigma_data: f64,
    unit: f64,
}

impl Angle {
    /// Creates the schedule of iPNDM, whose timestep is t, or of TrigFlow, whose timestep is the
    /// angle.
    pub(crate) fn of(settings: &Settings) -> Self {
        match settings.class {
            Class::Scm => Self { sigma_data: settings.sigma_data, unit: FRAC_PI_2 },
            _ => Self { sigma_data: 1.0, unit: 1.0 },
        }
    }
}

impl NoiseSchedule for Angle {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        match t {
            t if t >= 1.0 => (0.0, self.sigma_data),
            t => ((FRAC_PI_2 * t.max(0.0)).cos(), self.sigma_data * (FRAC_PI_2 * t.max(0.0)).sin()),
        }
    }

    fn timestep(&self, t: f64) -> f64 {
        t * self.unit
    }

    fn time_of(&self, timestep: f64) -> f64 {
        timestep / self.unit
    }
}
