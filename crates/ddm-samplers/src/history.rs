//! What multistep methods remember.

use std::collections::VecDeque;

use burn::tensor::Tensor;
use ddm_schedule::NoiseLevel;

/// The last few model answers (x̂₀ or ε̂) and where they were given, newest first: the state of the
/// multistep methods, which plug in a weighted sum of them.
#[derive(Clone, Debug, Default)]
pub struct History<const D: usize> {
    answers: VecDeque<(NoiseLevel, Tensor<D>)>,
}

impl<const D: usize> History<D> {
    /// Remembers `answer` at `level` as the newest, and forgets all but the newest `keep`.
    pub fn push(&mut self, level: NoiseLevel, answer: Tensor<D>, keep: usize) {
        self.answers.push_front((level, answer));
        self.answers.truncate(keep);
    }

    /// How many answers are remembered.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The level of the answer `back` steps ago; 0 is the newest.
    pub fn level(&self, back: usize) -> NoiseLevel {
        self.answers[back].0
    }

    /// The answer `back` steps ago; 0 is the newest.
    pub fn answer(&self, back: usize) -> Tensor<D> {
        self.answers[back].1.clone()
    }

    /// `Σ wᵢ answerᵢ`, newest first; weights beyond what is remembered must be none.
    pub fn combine(&self, weights: &[f64]) -> Tensor<D> {
        let mut terms = weights.iter().enumerate().map(|(back, &w)| self.answer(back) * w);
        let first = terms.next().unwrap_or_else(|| self.answer(0));
        terms.fold(first, |sum, term| sum + term)
    }
}
