//! Changes of the last row of a β table: zero terminal SNR, or a finite σ/α.

use crate::{BetaTable, Invalid, NoiseSchedule, ScheduleError};

impl BetaTable {
    /// Rescales the table to zero terminal SNR: `√ᾱ_i' = (√ᾱ_i − √ᾱ_T) √ᾱ_1/(√ᾱ_1 − √ᾱ_T)`. The
    /// last row becomes pure noise (α = 0 exactly, β = 1), and the first row does not change.
    ///
    /// At the last row the network must predict v, x₀ or flow, not ε. Requires at least 2 rows.
    /// Source: Lin et al., *Common Diffusion Noise Schedules and Sample Steps are Flawed*,
    /// algorithm 1, arXiv 2305.08891; diffusers' `rescale_betas_zero_snr`.
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
    ///
    /// Returns [`ScheduleError::Invalid`] if the table has one row.
    pub fn zero_terminal_snr(self) -> Result<Self, ScheduleError> {
        let rows = self.betas().len();
        Invalid::require(rows > 1, "steps", rows as f64, "at least 2 for zero terminal SNR")?;
        let (last, _) = self.alpha_sigma(1.0);
        let falling: Vec<f64> =
            (1..=rows).map(|i| self.alpha_sigma(i as f64 / rows as f64).0 - last).collect();
        // The common factor cancels in every quotient ᾱ_i/ᾱ_{i−1}; the first β does not change.
        let quotient = |pair: &[f64]| 1.0 - (pair[1] / pair[0]).powi(2);
        let rest: Vec<f64> = falling.windows(2).map(quotient).collect();
        Self::new(self.betas().iter().copied().take(1).chain(rest))
    }

    /// Sets `ᾱ_T = 2⁻²⁴`, hence σ/α = 4096, in a table that ends with α = 0. Other tables do not
    /// change.
    ///
    /// Use it where σ/α must be finite: for ε-prediction, and grids such as
    /// [`Karras`](crate::Karras). The value is that of diffusers, the least half-precision number
    /// above 0. If rows before the last have even less signal (DDPM's linear β), the noise of
    /// diffusers falls from them to the last row; here they are spread evenly in ln ᾱ from the last
    /// row above 2⁻²⁴, so that noise rises.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, NoiseSchedule};
    /// let table = BetaTable::default().zero_terminal_snr()?.with_finite_sigma()?;
    /// assert!((table.alpha_sigma(1.0).0 - 2_f64.powi(-12)).abs() < 1e-15);
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::NotFalling`] if the raised rows do not fall in `f64`.
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
