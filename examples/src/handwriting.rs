//! Handwritten digits for networks: batches, the training of a U-Net, and a classifier.

mod batches;
mod classifier;
mod training;

pub use batches::{LabelledImages, labels};
pub use classifier::Classifier;
pub use training::{guided, train, unet};

/// Digits in a batch while training.
pub const BATCH: usize = 128;
