//! What was skipped.

use std::collections::BTreeMap;
use std::fmt;

/// A corrupt item in whose place another was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The name of the item.
    pub item: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The corrupt items found so far: by name, each with what is wrong and how often it was skipped.
///
/// Printed, it is one line per item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    items: BTreeMap<String, (String, u64)>,
}

impl Report {
    /// Adds one.
    pub fn add(&mut self, skipped: Skipped) {
        self.items.entry(skipped.item).or_insert((skipped.reason, 0)).1 += 1;
    }

    /// Returns the number of different corrupt items.
    pub fn corrupt(&self) -> usize {
        self.items.len()
    }

    /// Returns how often an item was skipped.
    pub fn skipped(&self) -> u64 {
        self.items.values().map(|(_, times)| times).sum()
    }

    /// Returns name, reason and count of each corrupt item, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.items.iter().map(|(item, (reason, times))| (item.as_str(), reason.as_str(), *times))
    }
}

impl Extend<Skipped> for Report {
    fn extend<T: IntoIterator<Item = Skipped>>(&mut self, skipped: T) {
        skipped.into_iter().for_each(|one| self.add(one));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} corrupt items, skipped {} times", self.corrupt(), self.skipped())?;
        self.iter().try_for_each(|(item, reason, times)| write!(f, "\n{item} ({times}×): {reason}"))
    }
}
