//! Batches of a source in the order of a plan.

use std::sync::Arc;
use std::thread::available_parallelism;

use ddm_schedule::Invalid;

use crate::read::{Read, read};
use crate::{Batch, Batches, DataError, Plan, Source, Visit};

/// The batches of a [`Source`], in the order of a [`Plan`]. Batch n is a function of the source,
/// the plan and n: it does not depend on the number of workers, or on where reading started.
///
/// ```
/// use ddm_data::{Loader, Order, Sample};
/// let points: Vec<_> = (0..100).map(|i| Sample::new([i as f32, 0.0], ())).collect();
/// let loader = Loader::new(points, Order::new(100, 10, 7)?)?;
/// let from_5: Vec<_> = loader.start(5)?.take(20).collect::<Result<_, _>>()?;
/// assert_eq!(from_5[3], loader.batch(8)?);
/// let device = burn::tensor::Device::flex();
/// assert_eq!(from_5[3].data::<2>(&device)?.dims(), [10, 2]);
/// # Ok::<(), ddm_data::DataError>(())
/// ```
#[derive(Debug)]
pub struct Loader<S, P> {
    source: Arc<S>,
    plan: Arc<P>,
    workers: usize,
    ahead: usize,
}

impl<S, P> Clone for Loader<S, P> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), plan: self.plan.clone(), ..*self }
    }
}

impl<S: Source, P: Plan> Loader<S, P> {
    /// Creates the loader, with a worker per processor and four batches ahead.
    ///
    /// # Errors
    ///
    /// Returns an error if the source is empty.
    pub fn new(source: S, plan: P) -> Result<Self, DataError> {
        if source.is_empty() {
            return Err(DataError::Empty { what: "the data set".into(), hint: "add items to it" });
        }
        let workers = available_parallelism().map_or(1, |threads| threads.get().min(Self::MOST));
        Ok(Self { source: Arc::new(source), plan: Arc::new(plan), workers, ahead: 4 })
    }

    /// The largest number of workers, and of batches ahead.
    const MOST: usize = 1024;

    /// Sets the number of threads that read.
    ///
    /// # Errors
    ///
    /// Returns an error if it is 0 or above 1024.
    pub fn workers(self, workers: usize) -> Result<Self, DataError> {
        let good = (1..=Self::MOST).contains(&workers);
        Invalid::require(good, "number of workers", workers as f64, "between 1 and 1024")?;
        Ok(Self { workers, ..self })
    }

    /// Sets how many batches may be read, or being read, before the next is taken.
    ///
    /// # Errors
    ///
    /// Returns an error if it is 0 or above 1024.
    pub fn ahead(self, ahead: usize) -> Result<Self, DataError> {
        let good = (1..=Self::MOST).contains(&ahead);
        Invalid::require(good, "number of batches ahead", ahead as f64, "between 1 and 1024")?;
        Ok(Self { ahead, ..self })
    }

    /// Returns the source.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Returns the plan.
    pub fn plan(&self) -> &P {
        &self.plan
    }

    /// Reads the batch of a step on this thread.
    ///
    /// # Errors
    ///
    /// Returns an error that names the item if one cannot be read, or reading panics.
    pub fn batch(&self, step: u64) -> Result<Batch<S::Item>, DataError> {
        let visits = self.plan.batch(step);
        let items = visits.iter().map(|visit| read(&*self.source, &*self.plan, visit));
        Ok(assembled(step, &visits, items.collect::<Result<_, _>>()?))
    }
}

impl<S: Source + 'static, P: Plan + 'static> Loader<S, P> {
    /// Starts to read ahead on other threads, from any step on.
    ///
    /// # Errors
    ///
    /// Returns an error if a thread cannot be started.
    pub fn start(&self, step: u64) -> Result<Batches<S::Item>, DataError> {
        Batches::start(&self.source, &self.plan, self.workers, self.ahead, step)
    }
}

/// Makes a batch of its items.
pub(crate) fn assembled<I>(step: u64, visits: &[Visit], items: Vec<Read<I>>) -> Batch<I> {
    let mut batch = Batch {
        step,
        epoch: visits.first().map_or(0, |visit| visit.epoch),
        indices: Vec::with_capacity(items.len()),
        names: Vec::with_capacity(items.len()),
        items: Vec::with_capacity(items.len()),
        skipped: Vec::new(),
    };
    for read in items {
        batch.indices.push(read.index);
        batch.names.push(read.name);
        batch.items.push(read.item);
        batch.skipped.extend(read.skipped);
    }
    batch
}
