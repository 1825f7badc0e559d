//! Clothes, Fashion-MNIST's: tensors, batches to train on, drawings, and a classifier.

mod batches;
mod classifier;
mod drawing;

use ddm_core::data::{DataError, Idx, Loader, Order};
use ddm_core::prelude::*;

use crate::labelled::LabelledImages;

pub use batches::ClothesBatches;
pub use classifier::ClothesClassifier;
pub use drawing::{Drawing, drawn};

/// The number of kinds of clothes.
pub const CLASSES: usize = 10;

/// Returns the settings of a small network: three resolutions, 28, 14 and 7.
pub fn small_unet() -> UNetConfig {
    UNetConfig::new(1, 1).with_classes(Some(CLASSES)).with_channels(vec![16, 32, 64])
}

/// Returns some of the clothes as tensors: `count` of them from `first` on.
///
/// # Errors
///
/// Returns an error if there are not that many.
pub fn some(
    clothes: &Idx,
    first: usize,
    count: usize,
    device: &Device,
) -> Result<LabelledImages, DataError> {
    // A batch of one order is a run of items.
    let order = Order::new(first + count, first + count, 0)?.in_sequence();
    let batch = Loader::new(clothes.clone(), order)?.batch(0)?;
    let all =
        LabelledImages { images: batch.data(device)?, labels: batch.labels(CLASSES, device)? };
    Ok(all.slice(first..first + count))
}
