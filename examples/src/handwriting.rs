//! Handwritten digits for networks: batches, the training of a U-Net and of an autoencoder, a
//! classifier, and how good samples are.

mod autoencoder;
mod batches;
mod classifier;
mod quality;
mod training;

pub use autoencoder::train_autoencoder;
pub use batches::{LabelledImages, labels};
pub use classifier::Classifier;
pub use quality::Quality;
pub use training::{guided, train, train_unet, unet};

/// Digits in a batch while training.
pub const BATCH: usize = 128;
