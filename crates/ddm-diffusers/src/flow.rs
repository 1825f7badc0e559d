//! σ of rectified flow: shifted, stretched to its terminal value, spaced.

use ddm_schedule::spacing;

use crate::settings::{Settings, Sigmas};
use crate::table::{Table, single};
use crate::{Class, ConfigError, SetTimesteps};

/// How far below 1 UniPC keeps its first σ.
const BELOW_ONE: f64 = 1e-6;

impl Settings {
    /// `s σ/(1 + (s − 1) σ)` with the shift s of the settings, of e^μ or of μ.
    ///
    /// μ counts under `use_dynamic_shifting` alone: pipelines pass it in any case.
    fn shifted(&self, sigma: f64, mu: Option<f64>) -> f64 {
        let shift = match mu.filter(|_| self.dynamic_shift) {
            None => self.shift,
            Some(mu) if self.linear_shift => mu,
            Some(mu) => mu.exp(),
        };
        shift * sigma / (1.0 + (shift - 1.0) * sigma)
    }

    /// Stretches 1 − σ so that the last σ is the terminal one.
    fn stretched(&self, sigmas: Vec<f64>) -> Result<Vec<f64>, ConfigError> {
        let Some(terminal) = self.shift_terminal else { return Ok(sigmas) };
        let last = sigmas[sigmas.len() - 1];
        if last >= 1.0 {
            return Err(ConfigError::NothingToStretch { terminal, last });
        }
        let factor = (1.0 - terminal) / (1.0 - last);
        Ok(sigmas.into_iter().map(|sigma| 1.0 - (1.0 - sigma) * factor).collect())
    }

    /// Refuses a μ out of range, and none where one is needed.
    fn needs_mu(&self, mu: Option<f64>) -> Result<(), ConfigError> {
        let mu = mu.filter(|_| self.dynamic_shift);
        let good = mu.is_none_or(|mu| mu.is_finite() && !(self.linear_shift && mu <= 0.0));
        ConfigError::require(good, "mu", mu.unwrap_or_default(), "finite, above 0 if linear")?;
        let given = mu.is_some() || !self.dynamic_shift;
        ConfigError::require(given, "mu", "missing", "given where use_dynamic_shifting is true")
    }

    /// Of the solvers with `use_flow_sigmas`: (timesteps, σ).
    pub(crate) fn flow_sigmas(
        &self,
        set: &SetTimesteps,
        table: &Table,
    ) -> Result<(Vec<f64>, Vec<f64>), ConfigError> {
        let (steps, mu) = (set.count(self.class), set.mu);
        let scale = self.train_steps as f64;
        let lowest = scale.recip();
        // n of n + 1 points, evenly.
        let even =
            |high: f64, low: f64| move |i: usize| high - (high - low) * i as f64 / steps as f64;
        let sigmas: Vec<f64> = match self.class {
            Class::UniPcMultistep if self.sigmas == Sigmas::Karras => {
                let (low, high) = table.sigma_ends();
                let (low, high) = (self.sigma_min.unwrap_or(low), self.sigma_max.unwrap_or(high));
                let ratios = match steps {
                    1 => vec![high],
                    _ => spacing::karras(steps, high, low, 7.0)?,
                };
                ratios.into_iter().map(|ratio| ratio / (ratio + 1.0)).collect()
            }
            Class::UniPcMultistep => {
                self.needs_mu(mu)?;
                let given = match &set.sigmas {
                    Some(given) => given.clone(),
                    None => (0..steps).map(even(1.0, lowest)).collect(),
                };
                let shifted = given.into_iter().map(|sigma| self.shifted(sigma, mu));
                let mut sigmas = self.stretched(shifted.collect())?;
                if (sigmas[0] - 1.0).abs() < BELOW_ONE {
                    sigmas[0] -= BELOW_ONE;
                }
                sigmas
            }
            _ => (0..steps).map(even(1.0 - lowest, 0.0)).map(|s| self.shifted(s, mu)).collect(),
        };
        let told = sigmas.iter().map(|sigma| (sigma * scale).floor()).collect();
        Ok((told, sigmas.into_iter().map(single).collect()))
    }

    /// Of flow matching: the given ones, or from σ = 1 to 1/T.
    pub(crate) fn flow_match_sigmas(&self, set: &SetTimesteps) -> Result<Vec<f64>, ConfigError> {
        let (steps, mu) = (set.count(self.class), set.mu);
        self.needs_mu(mu)?;
        let scale = self.train_steps as f64;
        // A static shift is in the ends already, and comes again below: released models were tuned
        // with the two.
        let lowest = scale.recip();
        let lowest = if self.dynamic_shift { lowest } else { self.shifted(lowest, None) };
        let stride = (1.0 - lowest) / (steps.max(2) - 1) as f64;
        let even: Vec<f64> = match (&set.sigmas, &set.timesteps) {
            (Some(sigmas), _) => sigmas.clone(),
            (None, Some(timesteps)) => timesteps.iter().map(|t| t / scale).collect(),
            (None, None) => (0..steps).map(|i| 1.0 - stride * i as f64).collect(),
        };
        let shifted = even.into_iter().map(|sigma| self.shifted(sigma, mu));
        let sigmas = self.stretched(shifted.collect())?;
        let (high, low) = (sigmas[0], sigmas[steps - 1]);
        Ok(match self.sigmas {
            _ if steps == 1 => sigmas,
            Sigmas::Karras => spacing::karras(steps, high, low, 7.0)?,
            Sigmas::Exponential => spacing::exponential(steps, high, low)?,
            Sigmas::Beta => spacing::beta(steps, high, low, 0.6, 0.6)?,
            Sigmas::Table | Sigmas::Lu => sigmas,
        })
    }
}
