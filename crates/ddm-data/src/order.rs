//! The order of a data set.

use ddm_schedule::Invalid;

use crate::permutation::Permutation;
use crate::{DataError, Last, Plan, Visit};

/// A new random order of all items in each epoch, addressed by (seed, epoch): step n needs no
/// history. It takes no memory, however large the set.
///
/// ```
/// use ddm_data::{Order, Plan};
/// let order = Order::new(10, 4, 7)?;
/// assert_eq!(order.steps_per_epoch(), 2);
/// assert_eq!(order.batch(1000).len(), 4);
/// assert_eq!(order.batch(1000), Order::new(10, 4, 7)?.batch(1000));
/// # Ok::<(), ddm_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    items: usize,
    batch: usize,
    seed: u64,
    last: Last,
    shuffled: bool,
}

impl Order {
    /// Creates the order of a set of this many items, in batches of this size. What does not fill
    /// a batch is left out; see [`last`](Self::last).
    ///
    /// # Errors
    ///
    /// Returns an error if there are no items, the batch size is 0 or larger than the set.
    pub fn new(items: usize, batch: usize, seed: u64) -> Result<Self, DataError> {
        if items == 0 {
            return Err(DataError::Empty { what: "the data set".into(), hint: "add items to it" });
        }
        Invalid::require(
            (1..=items).contains(&batch),
            "batch size",
            batch as f64,
            "between 1 and the number of items",
        )?;
        Ok(Self { items, batch, seed, last: Last::Drop, shuffled: true })
    }

    /// Sets what becomes of the items that do not fill a batch.
    #[must_use]
    pub fn last(self, last: Last) -> Self {
        Self { last, ..self }
    }

    /// Keeps the items in their own order, for validation.
    #[must_use]
    pub fn in_sequence(self) -> Self {
        Self { shuffled: false, ..self }
    }
}

impl Plan for Order {
    fn batch(&self, step: u64) -> Vec<Visit> {
        let (epoch, within) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        let start = within as usize * self.batch;
        let permutation = Permutation::new(self.items, self.seed, "order", epoch, 0);
        let positions = start..self.items.min(start + self.batch);
        let item = |position| if self.shuffled { permutation.at(position) } else { position };
        positions.map(|position| Visit::new(self.seed, epoch, item(position))).collect()
    }

    fn steps_per_epoch(&self) -> u64 {
        self.last.batches(self.items, self.batch) as u64
    }

    fn after(&self, item: usize) -> usize {
        (item + 1) % self.items
    }
}
