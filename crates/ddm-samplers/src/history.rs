//! The past predictions of multistep methods.

use std::collections::VecDeque;

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

/// The last predictions (x̂₀ or ε̂) and their levels, newest first: the state of the multistep
/// methods, which use a weighted sum of them.
#[derive(Clone, Debug, Default)]
pub struct History<const D: usize> {
    predictions: VecDeque<(NoiseLevel, Tensor<D>)>,
}

impl<const D: usize> History<D> {
    /// Adds `prediction` at `level` as the newest, and drops all but the newest `keep`.
    pub fn push(&mut self, level: NoiseLevel, prediction: Tensor<D>, keep: usize) {
        self.predictions.push_front((level, prediction));
        self.predictions.truncate(keep);
    }

    /// Returns the number of stored predictions.
    pub fn len(&self) -> usize {
        self.predictions.len()
    }

    /// Returns whether no prediction is stored.
    pub fn is_empty(&self) -> bool {
        self.predictions.is_empty()
    }

    /// Returns the level and the prediction `back` steps ago, 0 being the newest, if it is stored.
    pub fn get(&self, back: usize) -> Option<(NoiseLevel, Tensor<D>)> {
        self.predictions.get(back).cloned()
    }

    /// Returns the levels of the predictions, newest first.
    pub fn levels(&self) -> impl Iterator<Item = NoiseLevel> + '_ {
        self.predictions.iter().map(|&(level, _)| level)
    }

    /// Returns the terms of `Σ factor wᵢ predictionᵢ`, newest first, over the stored predictions
    /// that have a weight: for [`Context::combine`](crate::Context::combine).
    pub fn terms(&self, weights: &[f64], factor: f64) -> impl Iterator<Item = (f64, Tensor<D>)> {
        let weighted = self.predictions.iter().zip(weights);
        weighted.map(move |((_, prediction), weight)| (factor * weight, prediction.clone()))
    }
}
