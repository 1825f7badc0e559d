//! The timesteps of a run: the rows of the table that it visits, noisiest first.

use ddm_schedule::GridError;

use crate::settings::Settings;
use crate::table::{Table, single};
use crate::words::Rows;
use crate::{Class, ConfigError};

impl Settings {
    /// Returns the n integer rows of the chain family.
    pub(crate) fn chain_rows(&self, steps: usize) -> Result<Vec<f64>, ConfigError> {
        let rows = self.visited(steps, steps, self.train_steps)?;
        self.in_table(rows.into_iter().map(f64::round_ties_even).collect())
    }

    /// Returns the n points, possibly between rows, of the k-diffusion family.
    pub(crate) fn points(&self, steps: usize) -> Result<Vec<f64>, ConfigError> {
        let points = self.visited(steps, steps, self.train_steps)?;
        self.in_table(points.into_iter().map(single).collect())
    }

    /// Returns n of n + 1 integer rows, of the solver family. Rows with λ below
    /// `lambda_min_clipped` are left out.
    pub(crate) fn solver_rows(&self, steps: usize, table: &Table) -> Result<Vec<f64>, ConfigError> {
        let last = self.train_steps - table.rows_below(self.lambda_min);
        let points = if self.rows == Rows::Trailing { steps } else { steps + 1 };
        let mut rows = self.visited(points, steps, last)?;
        rows.truncate(steps);
        self.in_table(rows.into_iter().map(f64::round_ties_even).collect())
    }

    /// Returns the given rows as integers.
    pub(crate) fn given_rows(&self, rows: &[f64]) -> Result<Vec<f64>, ConfigError> {
        self.in_table(rows.iter().map(|row| row.trunc()).collect())
    }

    /// Returns n of the rows on which a consistency model was distilled.
    pub(crate) fn distilled_rows(&self, steps: usize) -> Result<Vec<f64>, ConfigError> {
        if steps > self.original_steps {
            return Err(GridError::TooManySteps { steps, available: self.original_steps }.into());
        }
        let stride = self.train_steps / self.original_steps;
        let skip = self.original_steps as f64 / steps as f64;
        let row = |i: usize| {
            let taken = (i as f64 * skip).floor() as usize;
            ((self.original_steps - taken) * stride) as f64 - 1.0
        };
        Ok((0..steps).map(row).collect())
    }

    /// Returns `points` points of the first `last` rows, spaced by `timestep_spacing`.
    fn visited(&self, points: usize, steps: usize, last: usize) -> Result<Vec<f64>, ConfigError> {
        let available = self.train_steps;
        if steps > available {
            return Err(GridError::TooManySteps { steps, available }.into());
        }
        let end = last as f64 - 1.0;
        Ok(match self.rows {
            Rows::Linspace if points == 1 => vec![0.0],
            Rows::Linspace => {
                let stride = end / (points - 1) as f64;
                (0..points).rev().map(|i| i as f64 * stride).collect()
            }
            Rows::Leading => {
                let stride = last / points;
                if stride == 0 {
                    return Err(GridError::TooManySteps { steps, available: last - 1 }.into());
                }
                (0..points).rev().map(|i| (i * stride + self.offset) as f64).collect()
            }
            Rows::Trailing => {
                // numpy's arange accumulates the rounded difference of its first two numbers.
                let last = last as f64;
                let stride = last - (last - available as f64 / steps as f64);
                let place = |i: usize| last - i as f64 * stride;
                // For some numbers of steps diffusers has one more point, at timestep -1.
                let places = (0..steps).map(place).take_while(|place| *place > 0.5);
                places.map(|place| place.round_ties_even() - 1.0).collect()
            }
        })
    }

    pub(crate) fn in_table(&self, rows: Vec<f64>) -> Result<Vec<f64>, ConfigError> {
        let last = (self.train_steps - 1) as f64;
        match rows.iter().find(|row| !(0.0..=last).contains(*row)) {
            Some(&timestep) if self.rows == Rows::Leading && self.offset > 0 => {
                Err(ConfigError::OffsetTooLarge { offset: self.offset, timestep, last })
            }
            Some(&timestep) => Err(GridError::NoSuchTimestep { timestep, first: 0.0, last }.into()),
            None => Ok(rows),
        }
    }

    /// Returns the network's timestep at σ/α, interpolated between rows; an integer for some
    /// classes.
    pub(crate) fn timestep_at(&self, sigma: f64, rounded: bool, table: &Table) -> f64 {
        let row = table.row_of(sigma);
        let row = if rounded { row.round_ties_even() } else { row };
        match self.class {
            Class::Kdpm2Discrete | Class::Kdpm2AncestralDiscrete => row,
            _ if self.whole_timesteps() => row.floor(),
            _ => single(row),
        }
    }
}
