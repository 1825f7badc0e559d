//! σ/α by table or by spacing, and what the network is told there.

use ddm_schedule::{GridError, spacing};

use crate::settings::{Betas, Settings, Sigmas};
use crate::table::{Table, single};
use crate::{Class, ConfigError};

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
            Sigmas::Exponential | Sigmas::Lu => spacing::exponential(steps, high, low),
            Sigmas::Beta => spacing::beta(steps, high, low, 0.6, 0.6),
            Sigmas::Karras | Sigmas::Table => spacing::karras(steps, high, low, 7.0),
        }
    }

    /// Of the solvers, which space σ/α between the ends of the whole table.
    pub(crate) fn solver_sigmas(&self, steps: usize, table: &Table) -> Result<Pairs, ConfigError> {
        if self.by_table() {
            let rows = self.solver_rows(steps, table)?;
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
    pub(crate) fn k_sigmas(&self, steps: usize, table: &Table) -> Result<Pairs, ConfigError> {
        let points = self.points(steps)?;
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
        if self.told_log_sigma && self.predicts == crate::settings::Predicts::V {
            told = sigmas.iter().take(steps).map(|sigma| 0.25 * sigma.ln()).collect();
        }
        Ok((told, sigmas.into_iter().map(single).collect()))
    }

    /// Of EDM.
    pub(crate) fn edm_sigmas(&self, steps: usize) -> Result<Vec<f64>, ConfigError> {
        let (low, high) = (self.sigma_min.unwrap_or(0.002), self.sigma_max.unwrap_or(80.0));
        Ok(match self.sigmas {
            _ if steps == 1 && self.sigmas == Sigmas::Exponential => vec![low],
            _ if steps == 1 => vec![high],
            Sigmas::Exponential | Sigmas::Lu => spacing::exponential(steps, high, low)?,
            _ => spacing::karras(steps, high, low, self.rho)?,
        })
    }
}
