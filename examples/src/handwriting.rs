//! Handwritten digits for networks: batches, the training of a U-Net and of an autoencoder, and
//! a classifier.

mod autoencoder;
mod batches;
mod classifier;
mod training;

pub use autoencoder::train_autoencoder;
pub use classifier::Classifier;
pub use training::{guided, train, train_unet, unet};

/// Digits in a batch while training.
pub const BATCH: usize = 128;
