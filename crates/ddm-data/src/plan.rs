//! The trait of orders.

use auto_impl::auto_impl;

use crate::Visit;

/// What each step reads: a function of the step only.
///
/// [`Order`](crate::Order) is the usual one, [`BucketOrder`](crate::BucketOrder) that of images of
/// several sizes.
#[auto_impl(&, Arc, Box)]
pub trait Plan: Send + Sync {
    /// Returns the items of a step, counted from 0 over all epochs.
    fn batch(&self, step: u64) -> Vec<Visit>;

    /// Returns the number of steps of an epoch; at least 1.
    fn steps_per_epoch(&self) -> u64;

    /// Returns the item that is read next in place of a corrupt one. Repeated, it passes through
    /// all that may stand in, back to the first.
    fn after(&self, item: usize) -> usize;
}

/// What becomes of the items of an epoch that do not fill a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Last {
    /// They are left out; other items each epoch, since the order changes.
    #[default]
    Drop,
    /// They make a smaller batch.
    Keep,
}

impl Last {
    /// Returns the number of batches of this many items.
    pub(crate) fn batches(self, items: usize, batch: usize) -> usize {
        match self {
            Self::Drop => items / batch,
            Self::Keep => items.div_ceil(batch),
        }
    }
}
