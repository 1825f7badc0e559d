//! The levels that a run of n steps visits: diffusers' timesteps and sigmas.

use std::f64::consts::FRAC_PI_2;

use ddm_schedule::{GridError, Levels, NoiseLevel, NoiseSchedule};

use crate::class::Family;
use crate::settings::{Rows, Settings};
use crate::table::Table;
use crate::{Class, ConfigError};

/// Where diffusers repeats the last level, so that its last step does nothing, ours lies this much
/// below it: levels fall strictly, and the step still does nothing.
const ALL_BUT_ONE: f64 = 1.0 - 1e-10;

impl Settings {
    /// The levels of a run, noisiest first.
    pub(crate) fn levels(&self, steps: usize, mu: Option<f64>) -> Result<Levels, ConfigError> {
        if steps == 0 {
            return Err(GridError::NoSteps.into());
        }
        if mu.is_some() && !self.dynamic_shift {
            let allowed = "left out where use_dynamic_shifting is false";
            return Err(ConfigError::value("mu", mu.unwrap_or_default(), allowed));
        }
        let mut levels = match self.class.family() {
            Family::Chain => self.chain_levels(steps)?,
            Family::Consistency => self.consistency_levels(steps)?,
            Family::Solver => self.solver_levels(steps, mu)?,
            Family::KDiffusion => self.k_levels(steps)?,
            Family::Edm => self.edm_levels(steps)?,
            Family::FlowMatch => self.flow_match_levels(steps, mu)?,
            Family::Ipndm => self.angle_levels(steps)?,
        };
        if let [.., before, last] = &mut levels[..]
            && before.sigma * last.alpha == last.sigma * before.alpha
        {
            last.sigma *= ALL_BUT_ONE;
        }
        Ok(Levels::new(levels)?)
    }

    fn chain_levels(&self, steps: usize) -> Result<Vec<NoiseLevel>, ConfigError> {
        if self.class == Class::Pndm && !self.skip_prk && steps < 4 {
            let allowed = "true in runs of fewer than 4 steps";
            return Err(ConfigError::value("skip_prk_steps", "false", allowed));
        }
        let table = self.table()?;
        let rows = self.chain_rows(steps)?;
        let stride = self.train_steps / steps;
        let below = rows[rows.len() - 1] as usize;
        let end = match below.checked_sub(stride) {
            _ if self.class == Class::Ddpm => NoiseLevel::DATA,
            Some(row) => table.level(row),
            None if self.alpha_to_one => NoiseLevel::DATA,
            None => table.level(0),
        };
        Ok(rows.into_iter().map(|row| table.level(row as usize)).chain([end]).collect())
    }

    fn consistency_levels(&self, steps: usize) -> Result<Vec<NoiseLevel>, ConfigError> {
        let table = self.table()?;
        let rows = self.distilled_rows(steps)?;
        let end = match self.class {
            // By the schedule itself, so that what the sampler finds there is this very level.
            Class::Tcd => self.beta_table()?.level((self.train_steps as f64).recip()),
            _ => NoiseLevel::DATA,
        };
        Ok(rows.into_iter().map(|row| table.level(row as usize)).chain([end]).collect())
    }

    fn solver_levels(&self, steps: usize, mu: Option<f64>) -> Result<Vec<NoiseLevel>, ConfigError> {
        let table = self.table()?;
        let (told, sigmas) = if self.flow {
            self.flow_sigmas(steps, mu, &table)?
        } else {
            self.solver_sigmas(steps, &table)?
        };
        if told[1..].contains(&told[0]) {
            let timestep = told[0];
            return Err(crate::Contradiction::FirstTimestepTwice { timestep, steps }.into());
        }
        let level = |t: f64, sigma: f64| match self.flow {
            true => NoiseLevel { timestep: t, alpha: 1.0 - sigma, sigma },
            false => preserving(t, sigma),
        };
        let end = level(0.0, self.last_sigma(&sigmas, &table));
        Ok(told.into_iter().zip(sigmas).map(|(t, sigma)| level(t, sigma)).chain([end]).collect())
    }

    /// Where the last step ends: 0, the table's least σ/α, or where it started.
    fn last_sigma(&self, sigmas: &[f64], table: &Table) -> f64 {
        let multistep = matches!(
            self.class,
            Class::DpmSolverMultistep | Class::DpmSolverSinglestep | Class::EulerDiscrete
        );
        match self.ends_at_sigma_min {
            false => 0.0,
            true if multistep || self.by_table() => table.sigma_ends().0,
            true => sigmas[sigmas.len() - 1],
        }
    }

    fn k_levels(&self, steps: usize) -> Result<Vec<NoiseLevel>, ConfigError> {
        let table = self.table()?;
        let (told, mut sigmas) = self.k_sigmas(steps, &table)?;
        if sigmas.len() == steps {
            sigmas.push(self.last_sigma(&sigmas, &table));
        }
        let told = told.into_iter().chain([0.0]);
        let level = |(t, sigma): (f64, f64)| preserving(t, sigma);
        Ok(told.zip(sigmas).map(level).collect())
    }

    fn edm_levels(&self, steps: usize) -> Result<Vec<NoiseLevel>, ConfigError> {
        let sigmas = self.edm_sigmas(steps)?;
        let end = match self.ends_at_sigma_min {
            false => 0.0,
            true if self.class == Class::EdmEuler => sigmas[steps - 1],
            true => self.sigma_min.unwrap_or(sigmas[steps - 1]),
        };
        let level = |sigma: f64| NoiseLevel { timestep: 0.25 * sigma.ln(), alpha: 1.0, sigma };
        let end = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: end };
        Ok(sigmas.into_iter().map(level).chain([end]).collect())
    }

    fn flow_match_levels(
        &self,
        steps: usize,
        mu: Option<f64>,
    ) -> Result<Vec<NoiseLevel>, ConfigError> {
        let scale = self.train_steps as f64;
        let level = |sigma: f64| NoiseLevel { timestep: sigma * scale, alpha: 1.0 - sigma, sigma };
        let sigmas = self.flow_match_sigmas(steps, mu)?;
        Ok(sigmas.into_iter().map(level).chain([NoiseLevel::DATA]).collect())
    }

    fn angle_levels(&self, steps: usize) -> Result<Vec<NoiseLevel>, ConfigError> {
        if self.trained_betas.is_some() {
            let what = format!("trained_betas of {}", self.class);
            return Err(ConfigError::Unsupported { what, change: "leave it null" });
        }
        let level = |i: usize| {
            let angle = FRAC_PI_2 * (1.0 - i as f64 / steps as f64);
            let sigma = angle.sin().powi(2);
            let alpha = ((1.0 - sigma) * (1.0 + sigma)).sqrt();
            NoiseLevel { timestep: sigma.atan2(alpha) / FRAC_PI_2, alpha, sigma }
        };
        Ok((0..=steps).map(level).collect())
    }

    /// What the start, noise of unit variance, is multiplied by: x of the first level.
    pub(crate) fn start_scale(&self, first: NoiseLevel) -> f64 {
        match self.class.family() {
            Family::KDiffusion if self.rows != Rows::Leading => first.sigma,
            Family::Edm => self.sigma_max.unwrap_or(first.sigma).hypot(1.0),
            _ => 1.0,
        }
    }
}

/// The variance-preserving level of noise-to-signal ratio σ/α.
pub(crate) fn preserving(t: f64, sigma: f64) -> NoiseLevel {
    let alpha = 1.0 / sigma.hypot(1.0);
    NoiseLevel { timestep: t, alpha, sigma: sigma * alpha }
}
