//! Settings that differ from level to level.

use serde::Deserialize;

/// A setting of the levels of a network, finest first.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum PerLevel<T> {
    /// A value for each level.
    Each(Vec<T>),
    /// One value for all levels.
    All(T),
}

impl<T: Clone> PerLevel<T> {
    /// Returns the value of a level; `None` if the list is too short.
    #[must_use]
    pub fn at(&self, level: usize) -> Option<T> {
        match self {
            Self::Each(values) => values.get(level).cloned(),
            Self::All(value) => Some(value.clone()),
        }
    }

    /// Returns the number of values, of which there must be one a level; `None` if one is for all.
    #[must_use]
    pub fn values(&self) -> Option<usize> {
        match self {
            Self::Each(values) => Some(values.len()),
            Self::All(_) => None,
        }
    }
}
