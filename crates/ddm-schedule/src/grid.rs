//! Grids: the levels that a run of n steps visits.
//!
//! The names are those of Lin et al., *Common Diffusion Noise Schedules and Sample Steps are
//! Flawed*, table 2, arXiv 2305.08891. A β table of T rows is visited at integer rows. A continuous
//! schedule is treated as one of 1000 rows, and visited at any point between them.

use serde::{Deserialize, Serialize};

use crate::{GridError, Levels, NoiseSchedule};

/// The rule that chooses the n + 1 noise levels of a run of n steps.
///
/// ```
/// use ddm_schedule::{BetaTable, Grid, Leading, Linspace, Trailing};
/// let ddpm = BetaTable::default();
/// let rows = |grid: &dyn Grid| -> Vec<f64> {
///     grid.levels(&ddpm, 4).unwrap()[..4].iter().map(|level| level.timestep).collect()
/// };
/// assert_eq!(rows(&Trailing), [999.0, 749.0, 499.0, 249.0]);
/// assert_eq!(rows(&Leading { offset: 1 }), [751.0, 501.0, 251.0, 1.0]);
/// assert_eq!(rows(&Linspace), [999.0, 666.0, 333.0, 0.0]);
/// ```
#[auto_impl::auto_impl(&, Box, Arc)]
pub trait Grid: Send + Sync {
    /// Returns the levels of a run of `steps` steps on `schedule`, noisiest first, ending at the
    /// data.
    ///
    /// # Errors
    ///
    /// Returns an error if `steps` is 0, or more than the schedule or the grid allows.
    fn levels(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Levels, GridError>;
}

/// The trailing grid, evenly spaced from the end of the schedule: `t_i = 1 − i/n`.
///
/// It starts at the greatest noise of training and is the best default. On a table of T rows it
/// visits the rows of diffusers, whose `np.arange(T, 0, -T/n)` steps by `(T + (−T/n)) − T` in
/// `f64`: that rounding decides ties (n = 96 of T = 1000). At some n (61, 103, 121, …) numpy's
/// range has an extra element, and diffusers an extra step at timestep −1; this grid always has n
/// steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailing;

impl Grid for Trailing {
    fn levels(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Levels, GridError> {
        let rows = Rows::of(schedule, steps)?;
        let stride = -rows.count / steps as f64;
        let stride = if rows.whole { (rows.count + stride) - rows.count } else { stride };
        rows.levels(
            schedule,
            (0..steps).map(|i| rows.nearest(rows.count + i as f64 * stride) - 1.0),
        )
    }
}

/// The leading grid, from the first row with stride ⌊T/n⌋: rows `(n − 1 − i) ⌊T/n⌋ + offset`.
///
/// It does not reach the end of the schedule, so a run starts below full noise. Many released
/// models use it (Stable Diffusion with offset 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leading {
    /// The offset added to every row; it must be below the stride.
    pub offset: usize,
}

impl Grid for Leading {
    fn levels(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Levels, GridError> {
        let rows = Rows::of(schedule, steps)?;
        let stride = rows.whole_stride(rows.count / steps as f64);
        let offset = self.offset as f64;
        rows.levels(schedule, (0..steps).rev().map(|i| i as f64 * stride + offset))
    }
}

/// The linspace grid, evenly spaced with both ends: rows `(T − 1)(1 − i/(n − 1))`, rounded half to
/// even.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linspace;

impl Grid for Linspace {
    fn levels(&self, schedule: &dyn NoiseSchedule, steps: usize) -> Result<Levels, GridError> {
        let rows = Rows::of(schedule, steps)?;
        let last = rows.count - 1.0;
        let spans = (steps.max(2) - 1) as f64;
        rows.levels(schedule, (0..steps).map(|i| rows.nearest(last * (1.0 - i as f64 / spans))))
    }
}

/// The rows of a schedule; row k lies at t = (k + 1)/count.
struct Rows {
    count: f64,
    whole: bool,
}

impl Rows {
    fn of(schedule: &dyn NoiseSchedule, steps: usize) -> Result<Self, GridError> {
        match schedule.steps() {
            _ if steps == 0 => Err(GridError::NoSteps),
            Some(available) if steps > available => {
                Err(GridError::TooManySteps { steps, available })
            }
            Some(count) => Ok(Self { count: count as f64, whole: true }),
            None => Ok(Self { count: 1000.0, whole: false }),
        }
    }

    fn nearest(&self, row: f64) -> f64 {
        if self.whole { row.round_ties_even() } else { row }
    }

    fn whole_stride(&self, stride: f64) -> f64 {
        if self.whole { stride.floor() } else { stride }
    }

    fn levels(
        &self,
        schedule: &dyn NoiseSchedule,
        rows: impl Iterator<Item = f64>,
    ) -> Result<Levels, GridError> {
        let last = self.count - 1.0;
        let mut times = Vec::new();
        for row in rows {
            if row > last {
                return Err(GridError::NoSuchTimestep { timestep: row, first: 0.0, last });
            }
            times.push((row + 1.0) / self.count);
        }
        Levels::at_times(schedule, times)
    }
}
