//! Distributions of the training times.

mod history;
mod noise_level;
mod unit;

use std::sync::Arc;

use ddm_schedule::NoiseSchedule;

pub use history::LossHistory;
pub use noise_level::LogNormal;
pub use unit::{CosMap, LogitNormal, Mode, Stratified, UniformTime};
pub(crate) use unit::{normal, require_normal};

/// The distribution of the training times, by its inverse cumulative distribution function.
///
/// A closure `Fn(f64) -> f64` implements it: it maps u, uniform on [0, 1), to the time.
///
/// ```
/// use ddm_denoiser::FlowPrediction;
/// use ddm_schedule::RectifiedFlow;
/// use ddm_train::{LogitNormal, Objective, Stratified};
/// let objective = Objective::new(RectifiedFlow, FlowPrediction)?;
/// let sd3 = objective.clone().time_sampling(LogitNormal::default());
/// let noisier = objective.clone().time_sampling(|u: f64| u.sqrt());
/// let even = objective.time_sampling(Stratified(LogitNormal::default()));
/// # Ok::<(), ddm_denoiser::ModelError>(())
/// ```
pub trait TimeSampling: Send + Sync {
    /// Returns the time in [0, 1] for u, uniform on [0, 1). [`Objective`](crate::Objective) moves
    /// it to the next row of a table, or clamps it to [10⁻⁵, 1 − 10⁻⁵] on a continuous schedule.
    fn time(&self, u: f64, schedule: &dyn NoiseSchedule) -> f64;

    /// Returns the importance weight of a time: 1, or 1/p if the time is drawn p times as often as
    /// in the objective.
    fn importance(&self, time: f64) -> f64 {
        let _ = time;
        1.0
    }

    /// Returns the u of a batch from independent uniform numbers on [0, 1): the same numbers, or
    /// numbers that cover [0, 1) more evenly.
    fn spread(&self, uniform: Vec<f64>) -> Vec<f64> {
        uniform
    }
}

impl<F: Fn(f64) -> f64 + Send + Sync> TimeSampling for F {
    fn time(&self, u: f64, _: &dyn NoiseSchedule) -> f64 {
        self(u)
    }
}

impl<T: TimeSampling + ?Sized> TimeSampling for Arc<T> {
    fn time(&self, u: f64, schedule: &dyn NoiseSchedule) -> f64 {
        (**self).time(u, schedule)
    }
    fn importance(&self, time: f64) -> f64 {
        (**self).importance(time)
    }
    fn spread(&self, uniform: Vec<f64>) -> Vec<f64> {
        (**self).spread(uniform)
    }
}

/// Returns the bin of a time, of `count` equal bins of [0, 1]. A bin includes its upper edge, where the
/// row of a table lies.
pub(crate) fn bin_of(time: f64, count: usize) -> usize {
    ((time * count as f64 - 1e-6).ceil() as usize).clamp(1, count) - 1
}
