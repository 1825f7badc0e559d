//! The chain of Würstchen and Stable Cascade, in continuous time.

use std::f64::consts::FRAC_PI_2;

use burn::tensor::Tensor;
use ddm_samplers::{Context, Sampler};
use ddm_schedule::{NoiseLevel, NoiseSchedule, kernel};

use crate::settings::Settings;
use crate::{Class, ConfigError, SetTimesteps};

/// The cosine schedule with ᾱ kept in [0.0001, 0.9999], at a time that `scaler` warps:
/// `1 − (1 − t)^k` for k > 1, `t^k` for k < 1.
///
/// Source: Pernias et al., *Würstchen*, arXiv 2306.00637; Nichol & Dhariwal, eq. 17,
/// arXiv 2102.09672.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wuerstchen {
    scaler: f64,
    s: f64,
}

impl Wuerstchen {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { scaler: settings.scaler, s: settings.cosine_offset }
    }
}

impl NoiseSchedule for Wuerstchen {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        let t = t.clamp(0.0, 1.0);
        let t = match self.scaler {
            k if k > 1.0 => 1.0 - (1.0 - t).powf(k),
            k => t.powf(k),
        };
        let f = |t: f64| ((t + self.s) / (1.0 + self.s) * FRAC_PI_2).cos().powi(2);
        let bar = (f(t) / f(0.0)).clamp(1e-4, 0.9999);
        (bar.sqrt(), (1.0 - bar).sqrt())
    }
}

impl Settings {
    /// Times from 1 to 0, evenly or as given, the end among them.
    pub(crate) fn wuerstchen_levels(
        &self,
        set: &SetTimesteps,
    ) -> Result<Vec<NoiseLevel>, ConfigError> {
        let (schedule, steps) = (Wuerstchen::of(self), set.count(Class::DdpmWuerstchen));
        let times = match &set.timesteps {
            Some(times) => times.clone(),
            None => (0..=steps).map(|i| 1.0 - i as f64 / steps as f64).collect(),
        };
        let inside = times.iter().all(|t| (0.0..=1.0).contains(t));
        ConfigError::require(inside, "timesteps", format!("{times:?}"), "in [0, 1]")?;
        let level = |timestep: f64| {
            let (alpha, sigma) = schedule.alpha_sigma(timestep);
            NoiseLevel { timestep, alpha, sigma }
        };
        Ok(times.into_iter().map(level).collect())
    }
}

/// [`Ddpm`](ddm_samplers::Ddpm) without noise in the step to time 0, which is a level with noise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeanAtEnd;

impl<const D: usize> Sampler<D> for MeanAtEnd {
    type State = ();

    fn step(
        &self,
        cx: &mut Context<'_, D>,
        x: Tensor<D>,
        from: NoiseLevel,
        to: NoiseLevel,
        (): &mut (),
    ) -> Tensor<D> {
        let x0 = cx.denoise(x.clone(), from);
        let step = kernel::reverse(from, to, kernel::ddim_std(from, to, 1.0));
        let noise = if to.timestep > 0.0 { step.noise } else { 0.0 };
        cx.combine([(step.x, x), (step.x0, x0)], noise)
    }
}
