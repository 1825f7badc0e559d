//! Times drawn by past losses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{Tensor, TensorData};
use ddm_schedule::{Invalid, NoiseSchedule};

use super::{TimeSampling, bin_of};
use crate::{Example, Stateful, TrainError};

/// Importance sampling of times by their losses: `p ∝ √E[L²]`, weight `1/p`.
///
/// The mean of the loss is that of uniform times, with less variance. [0, 1) is split into equal
/// bins, one per row of a table; the mean is over the last ten losses of a bin, and until every bin
/// has ten, times are uniform. A fraction of 0.001 of the draws stays uniform.
/// Clones share one history; [`Checkpoints::with`](crate::Checkpoints::with) saves it. Source: Nichol & Dhariwal, *Improved Denoising Diffusion Probabilistic
/// Models*, sec. 3.3, eq. 18, arXiv 2102.09672.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::EpsilonPrediction;
/// use ddm_noise::HostNoise;
/// use ddm_schedule::BetaTable;
/// use ddm_train::{LossHistory, Objective};
/// let history = LossHistory::new(1000)?;
/// let objective = Objective::new(BetaTable::default(), EpsilonPrediction)?;
/// let objective = objective.time_sampling(history.clone());
/// let x0 = Tensor::<2>::zeros([8, 2], &Device::flex());
/// let example = objective.draw(x0, &mut HostNoise::new(0))?;
/// let losses = example.losses(example.x_t.clone())?; // of each sample; losses.mean() is the loss
/// history.record(&example, losses)?;
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LossHistory {
    bins: Arc<Mutex<Bins>>,
}

#[derive(Debug)]
struct Bins {
    last: Vec<VecDeque<f64>>,
    /// The probability of each bin.
    share: Vec<f64>,
}

impl LossHistory {
    /// The number of losses kept per bin.
    const KEPT: usize = 10;
    /// The fraction of the draws that stays uniform.
    const UNIFORM: f64 = 0.001;

    /// Creates a history of `bins` bins: the rows of a table, or any number for a continuous
    /// schedule.
    ///
    /// # Errors
    ///
    /// Returns an error if `bins` is 0.
    pub fn new(bins: usize) -> Result<Self, Invalid> {
        Invalid::require(bins > 0, "the number of bins", 0.0, "at least 1")?;
        let share = vec![1.0 / bins as f64; bins];
        let last = vec![VecDeque::with_capacity(Self::KEPT); bins];
        Ok(Self { bins: Arc::new(Mutex::new(Bins { last, share })) })
    }

    /// Returns the probability of each bin.
    pub fn shares(&self) -> Vec<f64> {
        self.lock().share.clone()
    }

    /// Records the losses of an example's samples, [`Example::losses`]. Waits for the device.
    ///
    /// # Errors
    ///
    /// Returns an error if the losses cannot be read, or are not one per sample.
    pub fn record<const D: usize>(
        &self,
        example: &Example<D>,
        losses: Tensor<1>,
    ) -> Result<(), TrainError> {
        self.take(example, losses.inner().try_into_data())
    }

    /// Records as [`record`](Self::record), for targets that cannot wait for the device, such as
    /// wasm.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`record`](Self::record).
    pub async fn record_async<const D: usize>(
        &self,
        example: &Example<D>,
        losses: Tensor<1>,
    ) -> Result<(), TrainError> {
        self.take(example, losses.inner().into_data_async().await)
    }

    fn take<const D: usize, E: std::fmt::Display>(
        &self,
        example: &Example<D>,
        losses: Result<TensorData, E>,
    ) -> Result<(), TrainError> {
        let losses = crate::training::values(losses)?;
        let sampled = &example.sampled;
        ddm_denoiser::ModelError::require_batch("the losses", losses.len(), sampled.len())?;
        let mut bins = self.lock();
        for (of, loss) in sampled.iter().zip(losses).filter(|(_, loss)| loss.is_finite()) {
            let bin = bin_of(of.time, bins.share.len());
            let last = &mut bins.last[bin];
            if last.len() == Self::KEPT {
                last.pop_front();
            }
            // Without the importance weight, which comes from this history.
            last.push_back(loss / of.importance);
        }
        bins.weigh();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Bins> {
        self.bins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stateful for LossHistory {
    /// Returns a line of losses for each bin.
    fn state(&self) -> Result<Vec<u8>, TrainError> {
        let line = |last: &VecDeque<f64>| {
            // The shortest decimal of a number is read back as that number.
            let losses: Vec<String> = last.iter().map(|loss| format!("{loss:e}")).collect();
            losses.join(",") + "\n"
        };
        Ok(self.lock().last.iter().map(line).collect::<String>().into_bytes())
    }

    fn restore(&self, state: Vec<u8>) -> Result<(), TrainError> {
        let record = |reason: String| TrainError::Record { reason };
        let text = String::from_utf8(state).map_err(|error| record(error.to_string()))?;
        let losses = |line: &str| {
            let numbers = line.split(',').filter(|number| !number.is_empty());
            numbers.map(str::parse).collect::<Result<VecDeque<f64>, _>>()
        };
        let last: Result<Vec<_>, _> = text.lines().map(losses).collect();
        let last = last.map_err(|error| record(error.to_string()))?;
        let mut bins = self.lock();
        if last.len() != bins.last.len() {
            let (found, expected) = (last.len(), bins.last.len());
            return Err(record(format!("it has {found} bins, but the history has {expected}")));
        }
        let uniform = vec![1.0 / last.len() as f64; last.len()];
        *bins = Bins { last, share: uniform };
        bins.weigh();
        Ok(())
    }
}

impl Bins {
    fn weigh(&mut self) {
        if self.last.iter().any(|last| last.len() < LossHistory::KEPT) {
            return;
        }
        let size = |last: &VecDeque<f64>| {
            (last.iter().map(|loss| loss * loss).sum::<f64>() / last.len() as f64).sqrt()
        };
        let sizes: Vec<f64> = self.last.iter().map(size).collect();
        let (total, count) = (sizes.iter().sum::<f64>(), sizes.len() as f64);
        if total > 0.0 && total.is_finite() {
            let mix = |size: f64| {
                (1.0 - LossHistory::UNIFORM) * size / total + LossHistory::UNIFORM / count
            };
            self.share = sizes.into_iter().map(mix).collect();
        }
    }
}

impl TimeSampling for LossHistory {
    /// Inverts the cumulative probabilities: a bin, and a place in it.
    fn time(&self, u: f64, _: &dyn NoiseSchedule) -> f64 {
        let share = &self.lock().share;
        let (mut below, count) = (0.0, share.len() as f64);
        for (bin, share) in share.iter().enumerate() {
            if u < below + share {
                // Away from the edges, so that rounding does not change the bin.
                let place = ((u - below) / share).clamp(1e-5, 1.0 - 1e-5);
                return (bin as f64 + place) / count;
            }
            below += share;
        }
        1.0 - f64::EPSILON
    }

    fn importance(&self, time: f64) -> f64 {
        let bins = self.lock();
        let count = bins.share.len();
        1.0 / (bins.share[bin_of(time, count)] * count as f64)
    }
}
