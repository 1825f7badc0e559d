//! More β tables: sigmoid, Laplace and exponential.

use crate::linear::{linspace, require_ends};
use crate::{BetaTable, ScheduleError};

/// The greatest β of a table computed from ᾱ(t), so that some signal remains.
const MAX_BETA: f64 = 0.999;

impl BetaTable {
    /// Creates the sigmoid table: `β_i = start + (end − start)/(1 + e^(−s_i))`, s evenly from −6 to
    /// 6.
    ///
    /// This is diffusers' `sigmoid`; elsewhere the word means a sigmoid in ᾱ. Source: Xu et al.,
    /// *GeoDiff*, arXiv 2203.02923 (its code).
    ///
    /// ```
    /// use ddm_schedule::BetaTable;
    /// let table = BetaTable::sigmoid(1001, 1e-4, 0.02)?;
    /// assert!((table.betas()[500] - 0.01005).abs() < 1e-15); // the mean of both ends
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::NoSteps`] if `steps` is 0, and [`ScheduleError::Invalid`] if an end
    /// is outside (0, 1).
    pub fn sigmoid(steps: usize, start: f64, end: f64) -> Result<Self, ScheduleError> {
        require_ends(start, end)?;
        let at = |s: f64| start + (end - start) / (1.0 + (-s).exp());
        Self::new(linspace(-6.0, 6.0, steps).map(at))
    }

    /// Creates the Laplace table: `β_i = min(1 − f((i+1)/T)/f(i/T), 0.999)` with `f = √(SNR/(1 +
    /// SNR))`, `ln SNR = −½ sgn(½ − t) ln(1 − 2|½ − t| + 1e-6)`.
    ///
    /// Most steps lie around SNR = 1. Source: Hang et al., *Improved Noise Schedule for Diffusion
    /// Training*, table 1, arXiv 2407.03297. This is diffusers' `laplace`, which uses the paper's
    /// α, a root, in place of ᾱ; with 1e-6 it starts at f = 0.9995 instead of 1.
    ///
    /// ```
    /// use ddm_schedule::BetaTable;
    /// assert!((BetaTable::laplace(1000)?.betas()[999] - 0.8472526).abs() < 1e-7);
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::NoSteps`] if `steps` is 0.
    pub fn laplace(steps: usize) -> Result<Self, ScheduleError> {
        Self::from_alpha_bar(steps, |t| {
            let from_middle = 0.5 - t;
            let log_snr =
                -0.5 * 1_f64.copysign(from_middle) * (1.0 - 2.0 * from_middle.abs() + 1e-6).ln();
            (1.0 + (-log_snr).exp()).sqrt().recip()
        })
    }

    /// Creates the exponential table: `ᾱ(t) = e^(−12 t)`, hence every `β = min(1 − e^(−12/T),
    /// 0.999)`.
    ///
    /// This is diffusers' alpha transform `exp`; we know of no paper.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, NoiseSchedule};
    /// let (alpha, _) = BetaTable::exponential(100)?.alpha_sigma(1.0);
    /// assert!((alpha - (-6_f64).exp()).abs() < 1e-12);
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::NoSteps`] if `steps` is 0.
    pub fn exponential(steps: usize) -> Result<Self, ScheduleError> {
        Self::from_alpha_bar(steps, |t| (-12.0 * t).exp())
    }

    /// Creates a table from a function ᾱ(t): `β_i = min(1 − ᾱ((i+1)/T)/ᾱ(i/T), 0.999)`.
    ///
    /// ᾱ must be above 0 and strictly falling.
    ///
    /// ```
    /// use ddm_schedule::BetaTable;
    /// let table = BetaTable::from_alpha_bar(2, |t| 0.25_f64.powf(t))?;
    /// assert_eq!(table.betas(), [0.5, 0.5]);
    /// assert!(BetaTable::from_alpha_bar(2, |t| t).is_err());
    /// # Ok::<(), ddm_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ScheduleError::NoSteps`] if `steps` is 0, and [`ScheduleError::Beta`] or
    /// [`ScheduleError::NotFalling`] at the first row where ᾱ does not fall.
    pub fn from_alpha_bar(
        steps: usize,
        alpha_bar: impl Fn(f64) -> f64,
    ) -> Result<Self, ScheduleError> {
        let at = |i: usize| alpha_bar(i as f64 / steps as f64);
        let beta = |i| {
            let beta: f64 = 1.0 - at(i + 1) / at(i);
            // Not `min`, which would hide a NaN.
            if beta > MAX_BETA { MAX_BETA } else { beta }
        };
        Self::new((0..steps).map(beta))
    }
}
