//! σ/α by table or by spacing, and the network's timesteps.

use ddm_schedule::{GridError, spacing};

use crate::settings::Settings;
use crate::table::{Table, single};
use crate::words::{Betas, Predicts, Sigmas};
use crate::{Class, ConfigError, SetTimesteps};

/// Timesteps and σ/α, noisiest first.
type Pairs = (Vec<f64>, Vec<f64>);

impl Settings {
    /// Whether σ/α is taken from the table.
    pub(crate) fn by_table(&self) -> bool {
        self.sigmas == Sigmas::Table && !self.flow
    }

    /// Returns n ratios between the ends, by the spacing of the config.
    fn spaced(&self, steps: usize, high: f64, low: f64) -> Result<Vec<f64>, GridError> {
        let (high, low) = (self.sigma_max.unwrap_or(high), self.sigma_min.unwrap_or(low));
        match self.sigmas {
            _ if steps == 1 => Ok(vec![high]),
            Sigmas::Exponential => spacing::exponential(steps, high, low),
            Sigmas::Beta => spacing::beta(steps, high, low, 0.6, 0.6),
            // From the table's logarithms in single precision, as in diffusers.
            Sigmas::Lu => {
                let (low, high) = (single(low.ln()), single(high.ln()));
                let lambda = |i: usize| high + i as f64 / (steps - 1) as f64 * (low - high);
                Ok((0..steps).map(|i| lambda(i).exp()).collect())
            }
            Sigmas::Karras | Sigmas::Table => spacing::karras(steps, high, low, 7.0),
        }
    }

    /// Returns the levels of the solvers, which space σ/α between the ends of the whole table.
    pub(crate) fn solver_sigmas(
        &self,
        set: &SetTimesteps,
        table: &Table,
    ) -> Result<Pairs, ConfigError> {
        let steps = set.count(self.class);
        if set.timesteps.is_some() && !self.by_table() {
            let allowed = "left out if the config spaces the sigmas";
            return Err(ConfigError::value("timesteps", "given", allowed));
        }
        if self.by_table() {
            let rows = match &set.timesteps {
                Some(rows) => self.given_rows(rows)?,
                None => self.solver_rows(steps, table)?,
            };
            let sigmas = rows.iter().map(|&row| table.sigma(row as usize)).collect();
            return Ok((rows, sigmas));
        }
        let (low, high) = table.sigma_ends();
        let sigmas = self.spaced(steps, high, low)?;
        let cosine = self.class == Class::DpmSolverMultistep && self.betas == Betas::Cosine;
        let rounded = matches!(self.sigmas, Sigmas::Karras | Sigmas::Lu) && !cosine;
        let timesteps =
            sigmas.iter().map(|&sigma| self.timestep_at(sigma, rounded, table)).collect();
        Ok((timesteps, sigmas.into_iter().map(single).collect()))
    }

    /// Returns the levels of the k-diffusion family, which spaces σ/α between its first and last
    /// point.
    pub(crate) fn k_sigmas(&self, set: &SetTimesteps, table: &Table) -> Result<Pairs, ConfigError> {
        let steps = set.count(self.class);
        if let Some(sigmas) = &set.sigmas {
            // The last one is the end of the run.
            let timesteps =
                sigmas.iter().take(steps).map(|&sigma| match self.log_sigma_timestep() {
                    true => 0.25 * sigma.ln(),
                    false => self.timestep_at(single(sigma), false, table),
                });
            return Ok((timesteps.collect(), sigmas.iter().copied().map(single).collect()));
        }
        let points = match &set.timesteps {
            Some(_) if self.sigmas != Sigmas::Table || self.log_sigma_timestep() => {
                let allowed = "left out if the config spaces the sigmas";
                return Err(ConfigError::value("timesteps", "given", allowed));
            }
            Some(points) => self.in_table(points.iter().copied().map(single).collect())?,
            None => self.points(steps)?,
        };
        let mut sigmas: Vec<f64> = points.iter().map(|&point| table.sigma_at(point)).collect();
        if self.log_linear {
            let (low, high) = table.sigma_ends();
            sigmas = spacing::exponential(steps + 1, high, low)?;
        }
        let mut timesteps = points;
        if self.sigmas != Sigmas::Table {
            sigmas = self.spaced(steps, sigmas[0], sigmas[sigmas.len() - 1])?;
            let rounded = self.whole_timesteps() && self.sigmas == Sigmas::Karras;
            timesteps =
                sigmas.iter().map(|&sigma| self.timestep_at(sigma, rounded, table)).collect();
        }
        if self.log_sigma_timestep() {
            timesteps = sigmas.iter().take(steps).map(|sigma| 0.25 * sigma.ln()).collect();
        }
        Ok((timesteps, sigmas.into_iter().map(single).collect()))
    }

    /// Whether the network's timestep is ¼ ln σ.
    fn log_sigma_timestep(&self) -> bool {
        self.log_sigma_timestep && self.predicts == Predicts::V
    }

    /// Returns the σ of EDM and of consistency models.
    pub(crate) fn edm_sigmas(&self, set: &SetTimesteps) -> Result<Vec<f64>, ConfigError> {
        let steps = set.count(self.class);
        if self.class == Class::CmStochasticIterative {
            return self.distilled_sigmas(set);
        }
        let (low, high) = (self.sigma_min.unwrap_or(0.002), self.sigma_max.unwrap_or(80.0));
        Ok(match self.sigmas {
            _ if steps == 1 && self.sigmas == Sigmas::Exponential => vec![low],
            _ if steps == 1 => vec![high],
            Sigmas::Exponential => spacing::exponential(steps, high, low)?,
            _ => spacing::karras(steps, high, low, self.rho)?,
        })
    }

    /// Returns n evenly chosen σ, or the given ones, of the Karras ramp on which a consistency
    /// model was distilled.
    fn distilled_sigmas(&self, set: &SetTimesteps) -> Result<Vec<f64>, ConfigError> {
        let (rows, steps) = (self.train_steps, set.count(self.class));
        if steps > rows {
            return Err(GridError::TooManySteps { steps, available: rows }.into());
        }
        let taken: Vec<f64> = match &set.timesteps {
            Some(given) => self.given_rows(given)?.into_iter().rev().collect(),
            None => (0..steps).map(|i| (i * (rows / steps)) as f64).collect(),
        };
        let (low, high) = (self.sigma_min.unwrap_or(0.002), self.sigma_max.unwrap_or(80.0));
        let (from, to) = (high.powf(self.rho.recip()), low.powf(self.rho.recip()));
        let place = |row: f64| row / (rows.max(2) - 1) as f64;
        let sigma = |row: f64| (from + place(row) * (to - from)).powf(self.rho);
        Ok(taken.into_iter().map(sigma).collect())
    }
}
