//! What multistep methods remember.

use std::collections::VecDeque;

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

/// The last few predictions (x̂₀ or ε̂) and their levels, newest first: the state of the multistep
/// methods, which plug in a weighted sum of them.
#[derive(Clone, Debug, Default)]
pub struct History<const D: usize> {
    predictions: VecDeque<(NoiseLevel, Tensor<D>)>,
}

impl<const D: usize> History<D> {
    /// Remembers `prediction` at `level` as the newest, and forgets all but the newest `keep`.
    pub fn push(&mut self, level: NoiseLevel, prediction: Tensor<D>, keep: usize) {
        self.predictions.push_front((level, prediction));
        self.predictions.truncate(keep);
    }

    /// How many predictions are remembered.
    pub fn len(&self) -> usize {
        self.predictions.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.predictions.is_empty()
    }

    /// The level and the prediction `back` steps ago, 0 being the newest, if it is remembered.
    pub fn get(&self, back: usize) -> Option<(NoiseLevel, Tensor<D>)> {
        self.predictions.get(back).cloned()
    }

    /// The levels of the predictions, newest first.
    pub fn levels(&self) -> impl Iterator<Item = NoiseLevel> + '_ {
        self.predictions.iter().map(|&(level, _)| level)
    }

    /// `x + Σ wᵢ predictionᵢ`, newest first, over what is remembered and has a weight.
    pub fn add_to(&self, x: Tensor<D>, weights: &[f64]) -> Tensor<D> {
        let terms = self.predictions.iter().zip(weights);
        terms.fold(x, |sum, ((_, prediction), &w)| sum + prediction.clone() * w)
    }
}
