//! The address of one reading of an item.

use ddm_noise::{HostNoise, Stream};
use rand::rngs::Xoshiro256PlusPlus;

/// The address of one reading of an item: seed, epoch and item. What a source draws for the item,
/// such as a crop or a flip, is a function of it, so that it needs no history and no order.
///
/// ```
/// use ddm_data::Visit;
/// use rand::RngExt;
/// let visit = Visit::new(7, 0, 3);
/// let flip: bool = visit.rng().random();
/// assert_eq!(flip, Visit::new(7, 0, 3).rng().random::<bool>());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Visit {
    /// The seed of the run.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The item that was planned. Where it is corrupt, another is read in its place, at the same
    /// address.
    pub item: usize,
    /// Height and width that the batch requires, if it does; see [`Buckets`](crate::Buckets).
    pub size: Option<[usize; 2]>,
}

impl Visit {
    /// Creates the address, without a required size.
    pub fn new(seed: u64, epoch: u64, item: usize) -> Self {
        Self { seed, epoch, item, size: None }
    }

    /// Returns the random generator of this address. The size has no effect on it.
    pub fn rng(&self) -> Xoshiro256PlusPlus {
        generator(self.seed, "augmentation", self.epoch, self.item as u64)
    }
}

/// Returns the generator of (seed, purpose, epoch, number).
pub(crate) fn generator(seed: u64, label: &str, epoch: u64, number: u64) -> Xoshiro256PlusPlus {
    let noise = HostNoise::new(seed).stream(Stream::Training).fork("data").fork(label);
    let mut rngs = noise.starting_at(number).at(epoch).rngs(1);
    rngs.next().unwrap_or_else(|| unreachable!("one generator was requested"))
}
