//! The loss by time, as metrics of burn.

use std::sync::Arc;

use burn::tensor::TensorReadError;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use ddm_train::{LossByTime, SampleLosses, TrainError};

/// A metric of burn: the mean loss of the samples whose time is in one of several equal bins.
///
/// burn's dashboard plots each bin over the training, and its log has the numbers. Losses are counted
/// as in [`LossByTime`]: with their weight, without importance weights, those that are not finite left
/// out. A batch may have no sample in a bin; its entry is then "N/A".
///
/// ```
/// use burn::train::metric::Metric;
/// use ddm_learner::LossInTimes;
/// let names: Vec<_> = LossInTimes::bins(4)?.iter().map(|metric| metric.name()).collect();
/// assert_eq!(names[1].as_str(), "Loss t 0.25 to 0.5");
/// // for bin in LossInTimes::bins(4)? { training = training.metric_train_numeric(bin); }
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone)]
pub struct LossInTimes {
    bin: usize,
    bins: usize,
    name: MetricName,
    state: NumericMetricState,
    /// Whether there was a loss in the epoch, and in its last batch.
    seen: bool,
    current: bool,
}

impl LossInTimes {
    /// Creates the metrics of all bins.
    ///
    /// # Errors
    ///
    /// Returns an error if `bins` is not from 1 to 100,000.
    pub fn bins(bins: usize) -> Result<Vec<Self>, TrainError> {
        let round = |time: f64| (1e4 * time).round() / 1e4;
        let metrics = LossByTime::new(bins)?.times().into_iter().enumerate().map(|(bin, times)| {
            let name = format!("Loss t {} to {}", round(times.start), round(times.end));
            let state = NumericMetricState::new();
            Self { bin, bins, name: Arc::new(name), state, seen: false, current: false }
        });
        Ok(metrics.collect())
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name()).precision(4)
    }
}

impl std::fmt::Debug for LossInTimes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LossInTimes").field(&self.name).finish()
    }
}

impl Metric for LossInTimes {
    type Input = SampleLosses;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn description(&self) -> Option<String> {
        Some("mean loss of the samples with times in this bin".to_owned())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }

    fn update(
        &mut self,
        item: &SampleLosses,
        _: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        let data = item.losses().clone().without_autodiff().try_into_data()?;
        let losses: Vec<f64> = data.iter().collect();
        let found = LossByTime::new(self.bins).and_then(|mut by_time| {
            by_time.record(item.sampled(), &losses)?;
            Ok(by_time.means()[self.bin].zip(Some(by_time.counts()[self.bin])))
        });
        let found = found.expect("the bins are valid, and there is a loss for each sample");
        self.current = found.is_some();
        let Some((mean, count)) = found else { return Ok(SerializedEntry::not_available(None)) };
        self.seen = true;
        self.state.update(mean, count as usize);
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(match self.seen {
            true => self.state.compute_final(self.format()),
            false => SerializedEntry::not_available(None),
        })
    }

    fn clear(&mut self) {
        self.state.reset();
        (self.seen, self.current) = (false, false);
    }
}

impl Numeric for LossInTimes {
    fn value(&self) -> Option<NumericEntry> {
        self.current.then(|| self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.seen.then(|| self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
