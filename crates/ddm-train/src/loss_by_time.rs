//! The loss by time.

use std::ops::Range;

use ddm_denoiser::ModelError;
use serde::{Deserialize, Serialize};

use crate::times::bin_of;
use crate::{Sampled, TrainError};

/// The mean loss in equal bins of the schedule's time, over the losses since the last
/// [`reset`](Self::reset): numbers on the host, to plot or to log.
///
/// It shows what the mean over all times hides: which levels still learn, and where a loss is not
/// finite. Losses are counted with their weight, but without importance weights, so that the time
/// sampling does not change them.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use ddm_denoiser::EpsilonPrediction;
/// use ddm_noise::HostNoise;
/// use ddm_schedule::Cosine;
/// use ddm_train::{LossByTime, Objective};
/// let objective = Objective::new(Cosine::default(), EpsilonPrediction)?;
/// let mut by_time = LossByTime::new(10)?;
/// let x0 = Tensor::<2>::zeros([500, 2], &Device::flex());
/// let example = objective.draw(x0, &mut HostNoise::new(0))?;
/// let losses = example.losses(example.target.clone() + 2.0)?; // of each sample
/// by_time.record(&example.sampled, &losses.into_data().try_into_vec_as()?)?;
/// assert!(by_time.means().iter().all(|mean| mean.is_some_and(|mean| (mean - 4.0).abs() < 1e-3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Bins", into = "Bins")]
pub struct LossByTime {
    bins: Vec<Bin>,
}

/// The losses of one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    sum: f64,
    count: u64,
    not_finite: u64,
}

impl LossByTime {
    /// Creates empty bins.
    ///
    /// # Errors
    ///
    /// Returns an error if `bins` is not from 1 to 100,000.
    pub fn new(bins: usize) -> Result<Self, TrainError> {
        Self::require(bins)?;
        Ok(Self { bins: vec![Bin::default(); bins] })
    }

    fn require(bins: usize) -> Result<(), TrainError> {
        let (holds, allowed) = ((1..=100_000).contains(&bins), "from 1 to 100,000");
        Ok(ddm_schedule::Invalid::require(holds, "the number of bins", bins as f64, allowed)?)
    }

    /// Records the losses of an example's samples: [`Example::sampled`](crate::Example::sampled) and
    /// [`Example::losses`](crate::Example::losses). Losses that are not finite are counted apart.
    ///
    /// # Errors
    ///
    /// Returns an error if the losses are not one per sample.
    pub fn record(&mut self, sampled: &[Sampled], losses: &[f64]) -> Result<(), TrainError> {
        ModelError::require_batch("the losses", losses.len(), sampled.len())?;
        let count = self.bins.len();
        for (of, loss) in sampled.iter().zip(losses) {
            let bin = &mut self.bins[bin_of(of.time, count)];
            let loss = loss / of.importance;
            if loss.is_finite() {
                bin.sum += loss;
                bin.count += 1;
            } else {
                bin.not_finite += 1;
            }
        }
        Ok(())
    }

    /// Returns the mean of the finite losses of each bin; `None` without any.
    pub fn means(&self) -> Vec<Option<f64>> {
        let mean = |bin: &Bin| (bin.count > 0).then(|| bin.sum / bin.count as f64);
        self.bins.iter().map(mean).collect()
    }

    /// Returns the number of finite losses of each bin.
    pub fn counts(&self) -> Vec<u64> {
        self.bins.iter().map(|bin| bin.count).collect()
    }

    /// Returns the times of each bin.
    pub fn times(&self) -> Vec<Range<f64>> {
        (0..self.bins.len()).map(|bin| self.time_of(bin)).collect()
    }

    /// Returns the times of the bins that had losses that were not finite, and how many: all bins, if
    /// the data or the weights are at fault; the ends, if the objective is.
    pub fn not_finite(&self) -> Vec<(Range<f64>, u64)> {
        let bins = self.bins.iter().enumerate();
        let bad = bins.filter(|(_, bin)| bin.not_finite > 0);
        bad.map(|(at, bin)| (self.time_of(at), bin.not_finite)).collect()
    }

    /// Empties the bins.
    pub fn reset(&mut self) {
        self.bins.fill(Bin::default());
    }

    fn time_of(&self, bin: usize) -> Range<f64> {
        let count = self.bins.len() as f64;
        bin as f64 / count..(bin + 1) as f64 / count
    }
}

/// The serialized form.
#[derive(Serialize, Deserialize)]
struct Bins {
    bins: Vec<Bin>,
}

impl From<LossByTime> for Bins {
    fn from(by_time: LossByTime) -> Self {
        Self { bins: by_time.bins }
    }
}

impl TryFrom<Bins> for LossByTime {
    type Error = TrainError;
    fn try_from(raw: Bins) -> Result<Self, TrainError> {
        Self::require(raw.bins.len())?;
        Ok(Self { bins: raw.bins })
    }
}
