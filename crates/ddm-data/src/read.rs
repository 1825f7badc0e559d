//! Reading one item of a plan.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{DataError, Plan, Skipped, Source, Visit};

/// An item that was read, with those that were skipped for it.
pub(crate) struct Read<I> {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) item: I,
    pub(crate) skipped: Vec<Skipped>,
}

/// Reads an item, or the first good one after it. A panic becomes an error.
pub(crate) fn read<S: Source>(
    source: &S,
    plan: &impl Plan,
    visit: &Visit,
) -> Result<Read<S::Item>, DataError> {
    let called = AssertUnwindSafe(|| first_good(source, plan, visit));
    catch_unwind(called).unwrap_or_else(|payload| {
        let item = format!("item {}", visit.item);
        Err(DataError::Panicked { item, message: message(&*payload) })
    })
}

fn first_good<S: Source>(
    source: &S,
    plan: &impl Plan,
    visit: &Visit,
) -> Result<Read<S::Item>, DataError> {
    let (items, mut index, mut skipped) = (source.len(), visit.item, Vec::<Skipped>::new());
    loop {
        if index >= items {
            return Err(DataError::NoItem { index, items });
        }
        let name = source.name(index);
        let called = AssertUnwindSafe(|| source.read(index, visit));
        match catch_unwind(called) {
            Ok(Ok(item)) => return Ok(Read { index, name, item, skipped }),
            Ok(Err(DataError::Corrupt { item, reason })) => skipped.push(Skipped { item, reason }),
            Ok(Err(error)) => return Err(error),
            Err(payload) => {
                return Err(DataError::Panicked { item: name, message: message(&*payload) });
            }
        }
        index = plan.after(index);
        if index == visit.item || skipped.len() >= items {
            let (tried, first) = (skipped.len(), skipped.swap_remove(0));
            return Err(DataError::NoGoodItem { item: first.item, tried, reason: first.reason });
        }
    }
}

/// Returns the message of a panic.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
