//! The queue between the threads that read and the one that trains.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::loader::assembled;
use crate::read::{Read, message};
use crate::{Batch, DataError, Plan, Visit};

/// The batches being read: at most `ahead`, in order. Their items are read in any order.
pub(crate) struct Queue<I> {
    ahead: usize,
    state: Mutex<State<I>>,
    /// Signalled when there may be something to read, or nothing more.
    work: Condvar,
    /// Signalled when a batch is whole.
    whole: Condvar,
}

struct State<I> {
    /// The step of the first batch.
    first: u64,
    batches: VecDeque<Pending<I>>,
    stopped: bool,
}

struct Pending<I> {
    visits: Vec<Visit>,
    /// The number of items given to threads.
    given: usize,
    missing: usize,
    items: Vec<Option<Result<Read<I>, DataError>>>,
    /// The panic of the plan.
    failed: Option<DataError>,
}

/// An item to read.
pub(crate) struct Task {
    step: u64,
    number: usize,
    pub(crate) visit: Visit,
}

impl<I> Queue<I> {
    pub(crate) fn new(ahead: usize, first: u64) -> Self {
        let state = State { first, batches: VecDeque::new(), stopped: false };
        Self { ahead, state: Mutex::new(state), work: Condvar::new(), whole: Condvar::new() }
    }

    /// Waits for an item to read. `None` when stopped.
    pub(crate) fn next_task(&self, plan: &impl Plan) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let first = state.first;
            for (number, batch) in state.batches.iter_mut().enumerate() {
                if let Some(&visit) = batch.visits.get(batch.given) {
                    batch.given += 1;
                    let step = first.wrapping_add(number as u64);
                    return Some(Task { step, number: batch.given - 1, visit });
                }
            }
            if state.batches.len() < self.ahead {
                let step = first.wrapping_add(state.batches.len() as u64);
                state.batches.push_back(Pending::new(step, plan));
                // Others may share the new items; a batch without items is whole.
                self.work.notify_all();
                self.whole.notify_all();
                continue;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives back what was read.
    pub(crate) fn give(&self, task: Task, item: Result<Read<I>, DataError>) {
        let mut state = self.lock();
        let number = task.step.wrapping_sub(state.first) as usize;
        // After an error, the batch may be gone.
        if let Some(batch) = state.batches.get_mut(number) {
            batch.items[task.number] = Some(item);
            batch.missing -= 1;
            if batch.missing == 0 {
                self.whole.notify_all();
            }
        }
    }

    /// Waits for the next batch.
    pub(crate) fn take(&self) -> Result<Batch<I>, DataError> {
        let mut state = self.lock();
        loop {
            if state.batches.front().is_some_and(|batch| batch.missing == 0) {
                break;
            }
            state = self.whole.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (step, batch) = (state.first, state.batches.pop_front());
        state.first = step.wrapping_add(1);
        self.work.notify_all();
        drop(state);
        batch.unwrap_or_else(|| unreachable!("the front was seen")).whole(step)
    }

    /// Lets the threads end.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.work.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I> Pending<I> {
    fn new(step: u64, plan: &impl Plan) -> Self {
        let planned = catch_unwind(AssertUnwindSafe(|| plan.batch(step)));
        let (visits, failed) = match planned {
            Ok(visits) => (visits, None),
            Err(payload) => {
                let item = format!("the plan of step {step}");
                let message = message(&*payload);
                (Vec::new(), Some(DataError::Panicked { item, message }))
            }
        };
        let items = visits.iter().map(|_| None).collect();
        Self { given: 0, missing: visits.len(), visits, items, failed }
    }

    /// Returns the batch, or the error of its first item that has one.
    fn whole(self, step: u64) -> Result<Batch<I>, DataError> {
        self.failed.map_or(Ok(()), Err)?;
        let items = self.items.into_iter().flatten().collect::<Result<_, _>>()?;
        Ok(assembled(step, &self.visits, items))
    }
}
