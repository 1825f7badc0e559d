//! Batches read ahead.

use std::fmt;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::queue::Queue;
use crate::read::read;
use crate::{Batch, DataError, Plan, Report, Source};

/// Batches read ahead by threads, as an iterator without end, in the order of the steps. See
/// [`Loader::start`](crate::Loader::start).
///
/// The first error is the last element. When dropped, it stops and joins its threads.
pub struct Batches<I: Send + 'static> {
    queue: Arc<Queue<I>>,
    threads: Vec<JoinHandle<()>>,
    report: Report,
    ended: bool,
}

impl<I: Send + 'static> Batches<I> {
    pub(crate) fn start<S: Source<Item = I> + 'static, P: Plan + 'static>(
        source: &Arc<S>,
        plan: &Arc<P>,
        workers: usize,
        ahead: usize,
        step: u64,
    ) -> Result<Self, DataError> {
        let queue = Arc::new(Queue::new(ahead, step));
        // Dropped on an error below, which stops the threads that have started.
        let mut batches =
            Self { queue, threads: Vec::new(), report: Report::default(), ended: false };
        for number in 0..workers {
            let (queue, source, plan) = (batches.queue.clone(), source.clone(), plan.clone());
            let work = move || {
                while let Some(task) = queue.next_task(&*plan) {
                    let item = read(&*source, &*plan, &task.visit);
                    queue.give(task, item);
                }
            };
            let thread = Builder::new().name(format!("ddm-data {number}")).spawn(work);
            batches.threads.push(thread.map_err(|source| DataError::Thread { source })?);
        }
        Ok(batches)
    }

    /// Returns the corrupt items of the batches taken so far.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl<I: Send + 'static> Iterator for Batches<I> {
    type Item = Result<Batch<I>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.queue.take();
        match &batch {
            Ok(batch) => self.report.extend(batch.skipped.iter().cloned()),
            Err(_) => {
                self.ended = true;
                self.queue.stop();
            }
        }
        Some(batch)
    }
}

impl<I: Send + 'static> Drop for Batches<I> {
    fn drop(&mut self) {
        self.queue.stop();
        for thread in self.threads.drain(..) {
            // All that a thread calls is guarded: it does not panic.
            let _ = thread.join();
        }
    }
}

impl<I: Send + 'static> fmt::Debug for Batches<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threads, report, ended, .. } = self;
        let mut debug = f.debug_struct("Batches");
        debug.field("workers", &threads.len()).field("report", report).field("ended", ended);
        debug.finish_non_exhaustive()
    }
}
