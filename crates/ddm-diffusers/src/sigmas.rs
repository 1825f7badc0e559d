//! σ/α by table or by spacing, and what the network is told there.

use ddm_schedule::{GridError, spacing};

use crate::settings::{Betas, Predicts, Settings, Sigmas};
use crate::table::{Table, single};
use crate::{Class, ConfigError, SetTimesteps};

/// Timesteps and σ/α, noisiest first.
type Pairs = (Vec<f64>, Vec<f64>);

impl Settings {
    /// Whether σ/α is the table's own.
    pub(crate) fn by_table(&self) -> bool {
        self.sigmas == Sigmas::Table && !self.flow
    }

    /// n ratios between the ends by the spacing that is set.
    fn spaced(&self, steps: usize, high: f64, low: f64) -> Result<Vec<f64>, GridError> {
        let (high, low) = (self.sigma_max.unwrap_or(high), self.sigma_min.unwrap_or(low));
        match self.sigmas {
            _ if steps == 1 => Ok(vec![high]),
            Sigmas::Exponential => spacing::exponential(steps, high, low),
            Sigmas::Beta => spacing::beta(steps, high, low, 0.6, 0.6),
            // As diffusers, from the logarithms that the table has in single precision.
            Sigmas::Lu => {
                let (low, high) = (single(low.ln()), single(high.ln()));
                let lambda = |i: usize| high + i as f64 / (steps - 1) as f64 * (low - high);
                Ok((0..steps).map(|i| lambda(i).exp()).collect())
            }
            Sigmas::Karras | Sigmas::Table => spacing::karras(steps, high, low, 7.0),
        }
    }

    /// Of the solvers, which space σ/α between the ends of the whole table.
    pub(crate) fn solver_sigmas(
        &self,
        set: &SetTimesteps,
        table: &Table,
    ) -> Result<Pairs, ConfigError> {
        let steps = set.count(self.class);
        if set.timesteps.is_some() && !self.by_table() {
            let allowed = "left out where sigmas are spaced by the config";
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
        let told = sigmas.iter().map(|&sigma| self.told(sigma, rounded, table)).collect();
        Ok((told, sigmas.into_iter().map(single).collect()))
    }

    /// Of the k-diffusion family, which spaces σ/α between the first and the last point.
    pub(crate) fn k_sigmas(&self, set: &SetTimesteps, table: &Table) -> Result<Pairs, ConfigError> {
        let steps = set.count(self.class);
        if let Some(sigmas) = &set.sigmas {
            // The last one is where the run ends.
            let told = sigmas.iter().take(steps).map(|&sigma| match self.told_log_sigma() {
                true => 0.25 * sigma.ln(),
                false => self.told(single(sigma), false, table),
            });
            return Ok((told.collect(), sigmas.iter().copied().map(single).collect()));
        }
        let points = match &set.timesteps {
            Some(_) if self.sigmas != Sigmas::Table || self.told_log_sigma() => {
                let allowed = "left out where sigmas are spaced by the config";
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
        let mut told = points;
        if self.sigmas != Sigmas::Table {
            sigmas = self.spaced(steps, sigmas[0], sigmas[sigmas.len() - 1])?;
            let rounded = self.whole_timesteps() && self.sigmas == Sigmas::Karras;
            told = sigmas.iter().map(|&sigma| self.told(sigma, rounded, table)).collect();
        }
        if self.told_log_sigma() {
            told = sigmas.iter().take(steps).map(|sigma| 0.25 * sigma.ln()).collect();
        }
        Ok((told, sigmas.into_iter().map(single).collect()))
    }

    /// Whether the network is told ¼ ln σ.
    fn told_log_sigma(&self) -> bool {
        self.told_log_sigma && self.predicts == Predicts::V
    }

    /// Of EDM and of consistency models.
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

    /// Of the Karras ramp on which a consistency model was distilled, n evenly, or the given ones.
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
