//! The σ of rectified flow: shifted, stretched to the terminal value, and spaced.

use ddm_schedule::spacing;

use crate::settings::Settings;
use crate::table::{Table, single};
use crate::words::Sigmas;
use crate::{Class, ConfigError, SetTimesteps};

/// The distance that UniPC keeps between its first σ and 1.
const BELOW_ONE: f64 = 1e-6;

impl Settings {
    /// Returns `s σ/(1 + (s − 1) σ)`, where s is the `shift` of the settings, e^μ or μ.
    ///
    /// μ has an effect only with `use_dynamic_shifting`, since pipelines always pass it.
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

    /// Returns an error if μ is out of range, or missing where it is required.
    fn check_mu(&self, mu: Option<f64>) -> Result<(), ConfigError> {
        let mu = mu.filter(|_| self.dynamic_shift);
        let good = mu.is_none_or(|mu| mu.is_finite() && !(self.linear_shift && mu <= 0.0));
        ConfigError::require(
            good,
            "mu",
            mu.unwrap_or_default(),
            "finite, and above 0 with time_shift_type \"linear\"",
        )?;
        let given = mu.is_some() || !self.dynamic_shift;
        ConfigError::require(
            given,
            "mu",
            "missing",
            "passed to set_timesteps (SetTimesteps::mu) since use_dynamic_shifting is true",
        )
    }

    /// Returns the timesteps and σ of the solvers with `use_flow_sigmas`.
    pub(crate) fn flow_sigmas(
        &self,
        set: &SetTimesteps,
        table: &Table,
    ) -> Result<(Vec<f64>, Vec<f64>), ConfigError> {
        let (steps, mu) = (set.count(self.class), set.mu);
        let scale = self.train_steps as f64;
        let lowest = scale.recip();
        // The first n of n + 1 evenly spaced points.
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
                self.check_mu(mu)?;
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
        let timesteps = sigmas.iter().map(|sigma| (sigma * scale).floor()).collect();
        Ok((timesteps, sigmas.into_iter().map(single).collect()))
    }

    /// Returns the σ of flow matching: the given ones, or evenly spaced from 1 to 1/T.
    pub(crate) fn flow_match_sigmas(&self, set: &SetTimesteps) -> Result<Vec<f64>, ConfigError> {
        let (steps, mu) = (set.count(self.class), set.mu);
        self.check_mu(mu)?;
        let scale = self.train_steps as f64;
        // A static shift is applied to the ends here and to every σ below: released models were
        // tuned with both.
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
