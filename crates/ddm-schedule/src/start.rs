//! Runs that start at a lower noise level: image to image.

use crate::{GridError, Invalid, Levels, NoiseLevel};

/// Methods for a run that starts from noised data: `x = α x₀ + σ ε` at the first remaining level.
impl Levels {
    /// Removes the first `steps` steps.
    ///
    /// # Errors
    ///
    /// Returns [`GridError::NothingLeft`] if no step remains.
    pub fn skip(self, steps: usize) -> Result<Self, GridError> {
        let all = self.steps();
        if steps >= all {
            return Err(GridError::NothingLeft { steps: all });
        }
        Self::new(self[steps..].to_vec())
    }

    /// Keeps the last `⌊n · strength⌋` of n steps; the strength is how much of the image changes.
    ///
    /// A strength of 1 is the whole run. Source: Meng et al., *SDEdit*, sec. 3.2, arXiv 2108.01073
    /// (there t₀); the rounding is that of diffusers' image-to-image pipelines.
    ///
    /// ```
    /// use ddm_schedule::{BetaTable, Grid, Trailing};
    /// let levels = Trailing.levels(&BetaTable::default(), 10)?;
    /// let run = levels.clone().from_strength(0.35)?;
    /// assert_eq!((run.steps(), run[0].timestep), (3, 299.0));
    /// assert!(levels.clone().from_strength(0.05).is_err() && levels.from_strength(1.5).is_err());
    /// # Ok::<(), ddm_schedule::GridError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`GridError::Strength`] if the strength is outside (0, 1] or keeps no step.
    #[allow(clippy::wrong_self_convention)]
    pub fn from_strength(self, strength: f64) -> Result<Self, GridError> {
        let steps = self.steps();
        let kept = (steps as f64 * strength) as usize;
        if !(strength > 0.0 && strength <= 1.0 && kept > 0) {
            return Err(GridError::Strength { strength, steps });
        }
        self.skip(steps - kept)
    }

    /// Starts the run at the first level with `ln(α/σ) ≥ λ`.
    ///
    /// # Errors
    ///
    /// Returns [`GridError::Invalid`] if λ is NaN, and [`GridError::NothingLeft`] if no step
    /// remains.
    pub fn below(self, lambda: f64) -> Result<Self, GridError> {
        Invalid::require(!lambda.is_nan(), "lambda", lambda, "a number")?;
        let above = self.iter().take_while(|level| level.lambda() < lambda).count();
        self.skip(above)
    }

    /// Starts the run at exactly `start`, followed by the levels that are less noisy.
    ///
    /// ```
    /// use ddm_schedule::{Grid, NoiseSchedule, RectifiedFlow, Trailing};
    /// let levels = Trailing.levels(&RectifiedFlow, 4)?.starting_at(RectifiedFlow.level(0.6))?;
    /// let sigmas: Vec<f64> = levels.iter().map(|level| level.sigma).collect();
    /// assert_eq!(sigmas, [0.6, 0.5, 0.25, 0.0]);
    /// # Ok::<(), ddm_schedule::GridError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`GridError::NothingLeft`] if no level is less noisy, and [`GridError::NotALevel`]
    /// if `start` is invalid.
    pub fn starting_at(self, start: NoiseLevel) -> Result<Self, GridError> {
        let less_noisy = |level: &&NoiseLevel| level.lambda() > start.lambda();
        let rest: Vec<NoiseLevel> = self.iter().filter(less_noisy).copied().collect();
        if rest.is_empty() {
            return Err(GridError::NothingLeft { steps: self.steps() });
        }
        Self::new(std::iter::once(start).chain(rest).collect())
    }
}
