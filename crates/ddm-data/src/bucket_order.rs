//! The order of images in buckets.

use ddm_schedule::Invalid;

use crate::permutation::Permutation;
use crate::{Buckets, DataError, Last, Plan, Visit};

/// The order of images of several ratios: each batch is of one bucket, and has its size. In each
/// epoch the images of a bucket are shuffled, and the batches of all buckets. It is addressed by
/// (seed, step), as [`Order`](crate::Order) is.
///
/// ```
/// use ddm_data::{BucketOrder, Buckets, Plan};
/// let buckets = Buckets::new([[64, 64], [64, 128]])?;
/// let sizes = [Some([300, 300]), Some([300, 590]), Some([200, 210]), None];
/// let order = BucketOrder::new(buckets, &sizes, 2, 7)?;
/// assert_eq!(order.steps_per_epoch(), 2);
/// assert_eq!(order.counts(), [2, 1]);
/// for visit in order.batch(0) {
///     assert_eq!(visit.size, Some(if visit.item == 1 { [64, 128] } else { [64, 64] }));
/// }
/// # Ok::<(), ddm_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BucketOrder {
    buckets: Buckets,
    /// The items of each bucket, ascending.
    members: Vec<Vec<usize>>,
    /// The bucket of each item.
    of_item: Vec<Option<usize>>,
    /// The number of batches before those of each bucket, and of all.
    starts: Vec<usize>,
    batch: usize,
    seed: u64,
}

impl BucketOrder {
    /// Creates the order of images of these heights and widths, in batches of at most this size.
    /// Images without a size are left out. The last batch of a bucket is smaller, since otherwise
    /// images of rare ratios would never be seen; see [`last`](Self::last).
    ///
    /// # Errors
    ///
    /// Returns an error if no image has a size or the batch size is 0.
    pub fn new(
        buckets: Buckets,
        sizes: &[Option<[usize; 2]>],
        batch: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        Invalid::require(batch > 0, "batch size", batch as f64, "at least 1")?;
        let of_item: Vec<_> =
            sizes.iter().map(|size| size.map(|size| buckets.nearest(size))).collect();
        let mut members = vec![Vec::new(); buckets.sizes().len()];
        for (item, bucket) in of_item.iter().enumerate() {
            if let Some(bucket) = *bucket {
                members[bucket].push(item);
            }
        }
        let order = Self { buckets, members, of_item, starts: Vec::new(), batch, seed };
        order.last(Last::Keep)
    }

    /// Sets what becomes of the images that do not fill a batch of their bucket.
    ///
    /// # Errors
    ///
    /// Returns an error if no batch is left.
    pub fn last(mut self, last: Last) -> Result<Self, DataError> {
        let mut starts = vec![0];
        for members in &self.members {
            let before = starts[starts.len() - 1];
            starts.push(before + last.batches(members.len(), self.batch));
        }
        if starts[starts.len() - 1] == 0 {
            let what = "the order of the buckets".into();
            let hint = "add images, take smaller batches, or keep the last batches";
            return Err(DataError::Empty { what, hint });
        }
        self.starts = starts;
        Ok(self)
    }

    /// Returns the sizes.
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Returns the number of images in each bucket.
    pub fn counts(&self) -> Vec<usize> {
        self.members.iter().map(Vec::len).collect()
    }
}

impl Plan for BucketOrder {
    fn batch(&self, step: u64) -> Vec<Visit> {
        let steps = self.steps_per_epoch();
        let (epoch, within) = (step / steps, (step % steps) as usize);
        let number = Permutation::new(steps as usize, self.seed, "batches", epoch, 0).at(within);
        // The last bucket that starts at or before this batch: those without batches come before.
        let bucket = self.starts.partition_point(|&start| start <= number) - 1;
        let members = &self.members[bucket];
        let order = Permutation::new(members.len(), self.seed, "bucket", epoch, bucket as u64);
        let start = (number - self.starts[bucket]) * self.batch;
        let positions = start..members.len().min(start + self.batch);
        let visit = |position| Visit {
            size: Some(self.buckets.sizes()[bucket]),
            ..Visit::new(self.seed, epoch, members[order.at(position)])
        };
        positions.map(visit).collect()
    }

    fn steps_per_epoch(&self) -> u64 {
        self.starts[self.starts.len() - 1] as u64
    }

    fn after(&self, item: usize) -> usize {
        let Some(bucket) = self.of_item.get(item).copied().flatten() else { return item };
        let members = &self.members[bucket];
        members[members.partition_point(|&member| member <= item) % members.len()]
    }
}
