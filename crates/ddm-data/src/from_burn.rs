//! Data sets of burn.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use burn_dataset::{Dataset, DatasetError};

use crate::{DataError, Source, Visit};

/// Any [`Dataset`] of burn as a [`Source`]. Its errors and its panics become errors that name the
/// item.
///
/// ```
/// use burn_dataset::InMemDataset;
/// use ddm_data::{FromBurn, Loader, Order};
/// let dataset = InMemDataset::new(vec![10, 11, 12, 13]);
/// let loader = Loader::new(FromBurn::new(dataset), Order::new(4, 2, 7)?)?;
/// let mut epoch = [loader.batch(0)?.items, loader.batch(1)?.items].concat();
/// epoch.sort();
/// assert_eq!(epoch, [10, 11, 12, 13]);
/// # Ok::<(), ddm_data::DataError>(())
/// ```
pub struct FromBurn<D, I, E = DatasetError> {
    dataset: D,
    marker: PhantomData<fn() -> (I, E)>,
}

impl<D, I, E> FromBurn<D, I, E>
where
    D: Dataset<I, E>,
    E: Error + Send + Sync + 'static,
{
    /// Takes the data set.
    pub fn new(dataset: D) -> Self {
        Self { dataset, marker: PhantomData }
    }
}

impl<D: Clone, I, E> Clone for FromBurn<D, I, E> {
    fn clone(&self) -> Self {
        Self { dataset: self.dataset.clone(), marker: PhantomData }
    }
}

impl<D: fmt::Debug, I, E> fmt::Debug for FromBurn<D, I, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromBurn").field(&self.dataset).finish()
    }
}

impl<D, I, E> Source for FromBurn<D, I, E>
where
    D: Dataset<I, E>,
    I: Send + 'static,
    E: Error + Send + Sync + 'static,
{
    type Item = I;

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn read(&self, index: usize, _visit: &Visit) -> Result<I, DataError> {
        let items = self.dataset.len();
        if index >= items {
            return Err(DataError::NoItem { index, items });
        }
        let read = self.dataset.get(index);
        read.map_err(|error| DataError::Item { item: self.name(index), reason: error.to_string() })
    }
}
