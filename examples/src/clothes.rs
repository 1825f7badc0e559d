//! Clothes, Fashion-MNIST's: tensors, and a classifier.

mod classifier;

use ddm_core::data::{DataError, Idx, Loader, Order};
use ddm_core::prelude::*;

use crate::labelled::LabelledImages;

pub use classifier::ClothesClassifier;

/// The number of kinds of clothes.
pub const CLASSES: usize = 10;

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
