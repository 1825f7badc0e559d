//! The end of a β table: no signal at all, or very little.

use crate::{BetaTable, Invalid, NoiseSchedule, ScheduleError};

impl BetaTable {
    /// Zero terminal SNR: `√ᾱ_i' = (√ᾱ_i − √ᾱ_T) √ᾱ_1/(√ᾱ_1 − √ᾱ_T)`, so that the last row is pure
    /// noise (α = 0 exactly, its β = 1) and the first is as it was.
    ///
    /// At the last row predict v, x₀ or flow, not ε. Needs at least 2 rows. Source: Lin et al.,
    /// *Common Diffusion Noise Schedules and Sample Steps are Flawed*, algorithm 1,
    /// arXiv 2305.08891; diffusers' `rescale_betas_zero_snr`.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, NoiseSchedule};
    /// let table = BetaTable::default().zero_terminal_snr()?;
    /// assert_eq!(table.alpha_sigma(1.0), (0.0, 1.0));
    /// assert_eq!(table.betas()[0], 1e-4);
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScheduleError::Invalid`] if the table has one row.
    pub fn zero_terminal_snr(self) -> Result<Self, ScheduleError> {
        let rows = self.betas().len();
        Invalid::require(rows > 1, "steps", rows as f64, "at least 2 for zero terminal SNR")?;
        let (last, _) = self.alpha_sigma(1.0);
        let falling: Vec<f64> =
            (1..=rows).map(|i| self.alpha_sigma(i as f64 / rows as f64).0 - last).collect();
        // The common factor leaves every quotient ᾱ_i/ᾱ_{i−1} but the first, which is to stay.
        let quotient = |pair: &[f64]| 1.0 - (pair[1] / pair[0]).powi(2);
        let rest: Vec<f64> = falling.windows(2).map(quotient).collect();
        Self::new(self.betas().iter().copied().take(1).chain(rest))
    }

    /// A table that ends with α = 0 made to end with `ᾱ_T = 2⁻²⁴`, hence σ/α = 4096; any other
    /// table as it is.
    ///
    /// For whatever needs a finite σ/α: ε-prediction, and grids such as [`Karras`](crate::Karras).
    /// The value is diffusers', the least number above 0 in half precision. Where rows before the
    /// last have less signal still (DDPM's linear β), diffusers lets noise fall from them to the
    /// last; here they are spread evenly in ln ᾱ from the last row above 2⁻²⁴, so that it rises.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, NoiseSchedule};
    /// let table = BetaTable::default().zero_terminal_snr()?.with_finite_sigma()?;
    /// assert!((table.alpha_sigma(1.0).0 - 2_f64.powi(-12)).abs() < 1e-15);
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScheduleError::NotFalling`] if the raised rows do not fall in `f64`.
    pub fn with_finite_sigma(self) -> Result<Self, ScheduleError> {
        let floor = 2_f64.powi(-24);
        let rows = self.betas().len();
        let alpha_bar = |row: usize| self.alpha_sigma(row as f64 / rows as f64).0.powi(2);
        if alpha_bar(rows) > 0.0 {
            return Ok(self);
        }
        let kept = (0..rows).take_while(|&row| alpha_bar(row) > floor).count() - 1;
        let log_quotient = (floor / alpha_bar(kept)).ln() / (rows - kept) as f64;
        let rest = std::iter::repeat_n(-log_quotient.exp_m1(), rows - kept);
        Self::new(self.betas().iter().copied().take(kept).chain(rest))
    }
}
