//! The β table in single precision, as in diffusers.
//!
//! Timesteps recovered from σ are truncated to integers, so the last bit decides between row 998
//! and row 999. Hence the table is rounded at the same places as in diffusers: β, 1 − β, the
//! product (accumulated in double precision, then rounded) and σ/α.

use ddm_schedule::{BetaTable, NoiseLevel};

use crate::settings::Settings;
use crate::words::Betas;
use crate::{Class, ConfigError};

/// ᾱ and σ/α of each row.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    bars: Vec<f64>,
    sigmas: Vec<f64>,
    logs: Vec<f64>,
}

/// Rounds to single precision.
pub(crate) fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

impl Settings {
    /// Returns the βs as a schedule.
    pub(crate) fn beta_table(&self) -> Result<BetaTable, ConfigError> {
        let (start, end, steps) = (self.beta_start, self.beta_end, self.train_steps);
        let table = match (&self.trained_betas, self.betas) {
            (Some(betas), _) => {
                let found = betas.len();
                ConfigError::require(
                    found == steps,
                    "trained_betas",
                    format!("{found} numbers"),
                    "as many as num_train_timesteps",
                )?;
                BetaTable::new(betas.iter().copied())
            }
            (None, Betas::Linear) => BetaTable::linear(steps, start, end),
            (None, Betas::ScaledLinear) => BetaTable::scaled_linear(steps, start, end),
            (None, Betas::Cosine) => BetaTable::cosine(steps),
            (None, Betas::Sigmoid) => BetaTable::sigmoid(steps, start, end),
            (None, Betas::Laplace) => BetaTable::laplace(steps),
            (None, Betas::Exponential) => BetaTable::exponential(steps),
        }?;
        let table = match self.snr_shift {
            1.0 => table,
            _ => {
                let mut bar = 1.0;
                let mut next = |beta: &f64| {
                    bar *= 1.0 - beta;
                    bar
                };
                let bars = self.with_snr_shifted(table.betas().iter().map(&mut next).collect());
                let before = std::iter::once(1.0).chain(bars.iter().copied());
                BetaTable::new(bars.iter().zip(before).map(|(bar, before)| 1.0 - bar / before))?
            }
        };
        if !self.zero_snr {
            return Ok(table);
        }
        let table = table.zero_terminal_snr()?;
        Ok(if self.finite_sigma() { table.with_finite_sigma()? } else { table })
    }

    /// Divides the SNR by `snr_shift_scale`: `ᾱ/(s + (1 − s) ᾱ)`.
    fn with_snr_shifted(&self, bars: Vec<f64>) -> Vec<f64> {
        let shift = self.snr_shift;
        bars.into_iter().map(|bar| bar / (shift + (1.0 - shift) * bar)).collect()
    }

    /// Whether the class divides by ᾱ_T, which is then kept above 0.
    fn finite_sigma(&self) -> bool {
        matches!(
            self.class,
            Class::DpmSolverMultistep
                | Class::UniPcMultistep
                | Class::EulerDiscrete
                | Class::EulerAncestralDiscrete
        )
    }

    /// Returns the table with the class's rounding.
    pub(crate) fn table(&self) -> Result<Table, ConfigError> {
        // Checks that the βs are valid.
        let plain = Self { zero_snr: false, ..self.clone() }.beta_table()?;
        let linspace = |start: f64, end: f64| single_linspace(start, end, self.train_steps);
        let mut betas: Vec<f64> = match (&self.trained_betas, self.betas) {
            (None, Betas::Linear) => linspace(self.beta_start, self.beta_end),
            (None, Betas::ScaledLinear) => linspace(self.beta_start.sqrt(), self.beta_end.sqrt())
                .into_iter()
                .map(|root| single(root * root))
                .collect(),
            _ => plain.betas().iter().copied().map(single).collect(),
        };
        if self.snr_shift != 1.0 {
            let bars = self.with_snr_shifted(cumulative(&betas));
            return Ok(Table::new(if self.zero_snr { rescaled(&bars) } else { bars }));
        }
        if self.zero_snr {
            betas = without_terminal_signal(&betas);
        }
        let mut bars = cumulative(&betas);
        if let Some(last) = bars.last_mut().filter(|_| self.zero_snr && self.finite_sigma()) {
            *last = 2_f64.powi(-24);
        }
        Ok(Table::new(bars))
    }
}

/// `torch.linspace` in single precision: from both ends, one rounding per point.
fn single_linspace(start: f64, end: f64, steps: usize) -> Vec<f64> {
    let (start, end) = (single(start), single(end));
    let stride = single(single(end - start) / (steps.max(2) - 1) as f64);
    let point = |i: usize| match i < steps / 2 || steps == 1 {
        true => single(start + stride * i as f64),
        false => single(end - stride * (steps - 1 - i) as f64),
    };
    (0..steps).map(point).collect()
}

fn cumulative(betas: &[f64]) -> Vec<f64> {
    let mut product = 1.0;
    let mut next = |beta: &f64| {
        product *= single(1.0 - beta);
        single(product)
    };
    betas.iter().map(&mut next).collect()
}

/// Returns the βs of zero terminal SNR, rounded after each operation.
fn without_terminal_signal(betas: &[f64]) -> Vec<f64> {
    let bars = rescaled(&cumulative(betas));
    let quotients = bars.windows(2).map(|pair| single(pair[1] / pair[0]));
    std::iter::once(bars[0]).chain(quotients).map(|alpha| single(1.0 - alpha)).collect()
}

/// Returns the ᾱ of zero terminal SNR.
fn rescaled(bars: &[f64]) -> Vec<f64> {
    let roots: Vec<f64> = bars.iter().map(|bar| single(bar.sqrt())).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let factor = single(first / single(first - last));
    let bar = |root: &f64| {
        let scaled = single(single(root - last) * factor);
        single(scaled * scaled)
    };
    roots.iter().map(bar).collect()
}

impl Table {
    fn new(bars: Vec<f64>) -> Self {
        let sigma = |bar: &f64| single(single(single(1.0 - bar) / bar).sqrt());
        let sigmas: Vec<f64> = bars.iter().map(sigma).collect();
        let logs = sigmas.iter().map(|sigma| single(sigma.ln())).collect();
        Self { bars, sigmas, logs }
    }

    /// Returns the number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.bars.len()
    }

    /// Returns the level of a row.
    pub(crate) fn level(&self, row: usize) -> NoiseLevel {
        let bar = self.bars[row];
        NoiseLevel { timestep: row as f64, alpha: bar.sqrt(), sigma: (1.0 - bar).sqrt() }
    }

    /// Returns σ/α of a row.
    pub(crate) fn sigma(&self, row: usize) -> f64 {
        self.sigmas[row]
    }

    /// Returns the least and the greatest σ/α.
    pub(crate) fn sigma_ends(&self) -> (f64, f64) {
        (self.sigmas[0], self.sigmas[self.rows() - 1])
    }

    /// Returns σ/α at a point between rows, linear in σ/α and constant beyond the ends.
    pub(crate) fn sigma_at(&self, row: f64) -> f64 {
        let row = row.clamp(0.0, (self.rows() - 1) as f64);
        let (low, part) = (row.floor() as usize, row.fract());
        match self.sigmas.get(low + 1) {
            Some(above) if part > 0.0 => self.sigmas[low] + part * (above - self.sigmas[low]),
            _ => self.sigmas[low],
        }
    }

    /// Returns the point between rows with this σ/α, linear in ln(σ/α).
    pub(crate) fn row_of(&self, sigma: f64) -> f64 {
        let log = sigma.max(1e-10).ln();
        let not_above = self.logs.partition_point(|&row| row <= log);
        let low = not_above.saturating_sub(1).min(self.rows().saturating_sub(2));
        let Some(above) = self.logs.get(low + 1) else { return 0.0 };
        let part = (self.logs[low] - log) / (self.logs[low] - above);
        low as f64 + part.clamp(0.0, 1.0)
    }

    /// Returns the number of rows with λ below `lambda`.
    pub(crate) fn rows_below(&self, lambda: f64) -> usize {
        self.sigmas.iter().filter(|sigma| -sigma.ln() < lambda).count()
    }
}
