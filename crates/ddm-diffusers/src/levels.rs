//! The levels that a run of n steps visits: diffusers' timesteps and sigmas.

use std::f64::consts::FRAC_PI_2;

use ddm_schedule::{GridError, Levels, NoiseLevel, NoiseSchedule};

use crate::class::Family;
use crate::settings::Settings;
use crate::table::Table;
use crate::words::Rows;
use crate::{Class, ConfigError, SetTimesteps};

/// The ratio of the last two σ where diffusers repeats the last level, so that its last step does
/// nothing. Our levels fall strictly, and the step still changes nothing.
const ALL_BUT_ONE: f64 = 1.0 - 1e-10;

impl Settings {
    /// Returns the levels of a run, noisiest first.
    pub(crate) fn levels(&self, set: &SetTimesteps) -> Result<Levels, ConfigError> {
        set.check(self.class)?;
        let steps = set.count(self.class);
        if steps == 0 {
            return Err(GridError::NoSteps.into());
        }
        let mut levels = match self.class.family() {
            Family::Chain => self.chain_levels(set)?,
            Family::Consistency => self.consistency_levels(set)?,
            Family::Solver => self.solver_levels(set)?,
            Family::KDiffusion => self.k_levels(set)?,
            Family::Edm => self.edm_levels(set)?,
            Family::FlowMatch => self.flow_match_levels(set)?,
            Family::Angle if self.class == Class::Scm => self.trig_levels(set)?,
            Family::Angle if self.class == Class::DdpmWuerstchen => self.wuerstchen_levels(set)?,
            Family::Angle => self.angle_levels(steps)?,
        };
        if let [.., before, last] = &mut levels[..]
            && before.sigma * last.alpha == last.sigma * before.alpha
        {
            last.sigma *= ALL_BUT_ONE;
        }
        Ok(Levels::new(levels)?)
    }

    /// Returns the level at which a run ends, below row 0.
    pub(crate) fn chain_end(&self, table: &Table) -> NoiseLevel {
        if self.class.ends_at_data() || self.alpha_to_one {
            NoiseLevel::DATA
        } else {
            table.level(0)
        }
    }

    fn chain_levels(&self, set: &SetTimesteps) -> Result<Vec<NoiseLevel>, ConfigError> {
        let steps = set.count(self.class);
        if self.class == Class::Pndm && !self.skip_prk && steps < 4 {
            let allowed = "true for fewer than 4 steps; set it to true or use at least 4 steps";
            return Err(ConfigError::value("skip_prk_steps", "false", allowed));
        }
        let spread = self.class != Class::UnClip || steps > 1;
        ConfigError::require(
            spread,
            "num_inference_steps",
            steps,
            "at least 2 in UnCLIPScheduler",
        )?;
        let table = self.table()?;
        let rows = match &set.timesteps {
            Some(rows) => self.given_rows(rows)?,
            None => self.chain_rows(steps)?,
        };
        let below = (rows[rows.len() - 1] as usize).checked_sub(self.train_steps / steps);
        let end = match below {
            Some(row) if !self.class.ends_at_data() => table.level(row),
            _ => self.chain_end(&table),
        };
        Ok(rows.into_iter().map(|row| table.level(row as usize)).chain([end]).collect())
    }

    fn consistency_levels(&self, set: &SetTimesteps) -> Result<Vec<NoiseLevel>, ConfigError> {
        let table = self.table()?;
        let rows = match &set.timesteps {
            Some(rows) => self.given_rows(rows)?,
            None => self.distilled_rows(set.count(self.class))?,
        };
        let end = match self.class {
            // From the schedule, so that the sampler finds the same level.
            Class::Tcd => self.beta_table()?.level((self.train_steps as f64).recip()),
            _ => NoiseLevel::DATA,
        };
        Ok(rows.into_iter().map(|row| table.level(row as usize)).chain([end]).collect())
    }

    fn solver_levels(&self, set: &SetTimesteps) -> Result<Vec<NoiseLevel>, ConfigError> {
        let (table, steps) = (self.table()?, set.count(self.class));
        let flow = self.flow && set.timesteps.is_none();
        let (timesteps, sigmas) = match flow {
            true => self.flow_sigmas(set, &table)?,
            false => self.solver_sigmas(set, &table)?,
        };
        if timesteps[1..].contains(&timesteps[0]) {
            let timestep = timesteps[0];
            return Err(crate::Contradiction::FirstTimestepTwice { timestep, steps }.into());
        }
        let level = |t: f64, sigma: f64| match self.flow {
            true => NoiseLevel { timestep: t, alpha: 1.0 - sigma, sigma },
            false => preserving(t, sigma),
        };
        let end = level(0.0, self.last_sigma(&sigmas, &table));
        let visited = timesteps.into_iter().zip(sigmas).map(|(t, sigma)| level(t, sigma));
        Ok(visited.chain([end]).collect())
    }

    /// Returns σ/α at the end of the last step: 0, the table's least, or that of its start.
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

    fn k_levels(&self, set: &SetTimesteps) -> Result<Vec<NoiseLevel>, ConfigError> {
        let (table, steps) = (self.table()?, set.count(self.class));
        let (timesteps, mut sigmas) = self.k_sigmas(set, &table)?;
        if sigmas.len() == steps {
            sigmas.push(self.last_sigma(&sigmas, &table));
        }
        let timesteps = timesteps.into_iter().chain([0.0]);
        let level = |(t, sigma): (f64, f64)| preserving(t, sigma);
        Ok(timesteps.zip(sigmas).map(level).collect())
    }

    fn edm_levels(&self, set: &SetTimesteps) -> Result<Vec<NoiseLevel>, ConfigError> {
        let (sigmas, steps) = (self.edm_sigmas(set)?, set.count(self.class));
        let end = match self.ends_at_sigma_min {
            false => 0.0,
            true if self.class == Class::EdmEuler => sigmas[steps - 1],
            true => self.sigma_min.unwrap_or(sigmas[steps - 1]),
        };
        let timestep = |sigma: f64| match self.class {
            Class::CmStochasticIterative => 250.0 * (sigma + 1e-44).ln(),
            Class::CosineDpmSolverMultistep => sigma.atan() / FRAC_PI_2,
            _ => 0.25 * sigma.ln(),
        };
        let level = |sigma: f64| NoiseLevel { timestep: timestep(sigma), alpha: 1.0, sigma };
        let end = NoiseLevel { timestep: 0.0, alpha: 1.0, sigma: end };
        Ok(sigmas.into_iter().map(level).chain([end]).collect())
    }

    fn flow_match_levels(&self, set: &SetTimesteps) -> Result<Vec<NoiseLevel>, ConfigError> {
        let scale = self.train_steps as f64;
        let (sigmas, steps) = (self.flow_match_sigmas(set)?, set.count(self.class));
        let level = |(i, sigma): (usize, f64)| {
            let timestep = match &set.timesteps {
                _ if self.invert_sigmas => (1.0 - sigma) * scale,
                Some(timesteps) => timesteps[i],
                None => sigma * scale,
            };
            NoiseLevel { timestep, alpha: 1.0 - sigma, sigma }
        };
        // Of one class the sigmas that are given hold the end.
        let end = sigmas.get(steps).map_or(NoiseLevel::DATA, |&sigma| level((steps, sigma)));
        Ok(sigmas.into_iter().take(steps).enumerate().map(level).chain([end]).collect())
    }

    /// Returns the angles t with α = cos t, σ = σ_d sin t: two steps go through 1.3, others are
    /// evenly spaced.
    fn trig_levels(&self, set: &SetTimesteps) -> Result<Vec<NoiseLevel>, ConfigError> {
        #[expect(clippy::approx_constant, reason = "diffusers' rounded number")]
        const FIRST: f64 = 1.5708;
        let steps = set.count(self.class);
        let angles: Vec<f64> = match (&set.timesteps, steps) {
            (Some(angles), _) => angles.clone(),
            (None, 2) => vec![FIRST, 1.3, 0.0],
            _ => (0..=steps).map(|i| FIRST * (1.0 - i as f64 / steps as f64)).collect(),
        };
        let level = |angle: f64| {
            // Rounding puts the first angle beyond π/2.
            let (alpha, sigma) = (angle.cos().max(0.0), self.sigma_data * angle.sin());
            NoiseLevel { timestep: angle, alpha, sigma }
        };
        Ok(angles.into_iter().map(level).collect())
    }

    fn angle_levels(&self, steps: usize) -> Result<Vec<NoiseLevel>, ConfigError> {
        if self.trained_betas.is_some() {
            let what = format!("trained_betas of {}", self.class);
            return Err(ConfigError::Unsupported { what, change: "set it to null" });
        }
        let level = |i: usize| {
            let angle = FRAC_PI_2 * (1.0 - i as f64 / steps as f64);
            let sigma = angle.sin().powi(2);
            let alpha = ((1.0 - sigma) * (1.0 + sigma)).sqrt();
            NoiseLevel { timestep: sigma.atan2(alpha) / FRAC_PI_2, alpha, sigma }
        };
        Ok((0..=steps).map(level).collect())
    }

    /// Returns the factor that turns noise of unit variance into x at the first level.
    pub(crate) fn start_scale(&self, first: NoiseLevel) -> f64 {
        match self.class.family() {
            Family::Edm if self.class == Class::CmStochasticIterative => first.sigma,
            Family::KDiffusion if self.rows != Rows::Leading => first.sigma,
            Family::Edm => self.sigma_max.unwrap_or(first.sigma).hypot(1.0),
            _ => 1.0,
        }
    }
}

/// Returns the variance-preserving level of noise-to-signal ratio σ/α.
pub(crate) fn preserving(t: f64, sigma: f64) -> NoiseLevel {
    let alpha = 1.0 / sigma.hypot(1.0);
    NoiseLevel { timestep: t, alpha, sigma: sigma * alpha }
}
