//! The part of a run that image to image takes.

use ddm_schedule::Levels;

use crate::{Class, ConfigError, SchedulerConfig, SetTimesteps};

impl SchedulerConfig {
    /// Returns the levels of the last part of a run, of n·s of its n steps, as diffusers' image to
    /// image and inpainting pipelines take for a strength s.
    ///
    /// Give the sampler the steps of the whole run, [`StepArgs::inference_steps`](crate::StepArgs).
    /// PNDM's list of timesteps has its second one twice, and diffusers cuts the list. So the first
    /// step of the rest is Heun's from its first row, and the next one treats x as if it lay one row
    /// lower; that row is left out here. It is the only class that does this.
    ///
    /// ```
    /// use ddm_diffusers::{Class, SchedulerConfig};
    /// let config: SchedulerConfig =
    ///     r#"{"_class_name": "DDIMScheduler", "steps_offset": 1}"#.parse()?;
    /// let rest = config.levels_from(10, 0.6)?;
    /// assert_eq!((rest.steps(), rest[0].timestep), (6, 501.0));
    /// assert!(config.levels_from(10, 0.05).is_err()); // not one step
    /// # Ok::<(), ddm_diffusers::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`levels`](Self::levels), and an error if the strength is outside
    /// (0, 1] or keeps no step.
    pub fn levels_from(
        &self,
        set: impl Into<SetTimesteps>,
        strength: f64,
    ) -> Result<Levels, ConfigError> {
        let all = self.levels(set)?;
        let levels = all.clone().from_strength(strength)?;
        let skipped = all.steps() - levels.steps();
        let doubles = self.class() == Class::Pndm && self.settings().skip_prk;
        if !doubles || skipped == 0 {
            return Ok(levels);
        }
        let rest = all.skip(skipped - 1)?;
        let mut rows = rest.to_vec();
        match (skipped, rows.len()) {
            // The first row again is the second of the doubled ones.
            (1, _) => drop(rows.remove(0)),
            // One step: the end of the run is not reached.
            (_, 3) => drop(rows.pop()),
            _ => drop(rows.remove(1)),
        }
        Ok(Levels::new(rows)?)
    }
}
