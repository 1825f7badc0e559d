//! The trait of data sets.

use auto_impl::auto_impl;

use crate::{DataError, Visit};

/// A data set: items read by index, at an address.
///
/// Reading is a function of index and [`Visit`] only. It runs on several threads at once.
///
/// [`Idx`](crate::Idx) and [`Folder`](crate::Folder) are sources, so is a `Vec`, and
/// [`FromBurn`](crate::FromBurn) makes one of any data set of burn.
///
/// ```
/// use ddm_data::{DataError, Sample, Source, Visit};
/// use rand::RngExt;
/// /// The numbers 0, 1, 2, …, each with noise of its own in every epoch.
/// struct Noisy(usize);
/// impl Source for Noisy {
///     type Item = Sample<[f32; 1]>;
///     fn len(&self) -> usize {
///         self.0
///     }
///     fn read(&self, index: usize, visit: &Visit) -> Result<Self::Item, DataError> {
///         Ok(Sample::new([index as f32 + visit.rng().random::<f32>()], ()))
///     }
/// }
/// assert!(Noisy(4).read(3, &Visit::new(7, 0, 3))?.data[0] >= 3.0);
/// # Ok::<(), DataError>(())
/// ```
#[auto_impl(&, Arc, Box)]
pub trait Source: Send + Sync {
    /// What is read.
    type Item: Send + 'static;

    /// Returns the number of items.
    fn len(&self) -> usize;

    /// Returns whether there is no item.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the item of this index.
    ///
    /// # Errors
    ///
    /// Returns [`DataError::Corrupt`] for an item that a loader replaces by another one, and any
    /// other error for one that ends the run.
    fn read(&self, index: usize, visit: &Visit) -> Result<Self::Item, DataError>;

    /// Returns the name of an item, for messages.
    fn name(&self, index: usize) -> String {
        format!("item {index}")
    }
}

impl<I: Clone + Send + Sync + 'static> Source for Vec<I> {
    type Item = I;

    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn read(&self, index: usize, _visit: &Visit) -> Result<I, DataError> {
        let items = self.as_slice().len();
        self.get(index).cloned().ok_or(DataError::NoItem { index, items })
    }
}
