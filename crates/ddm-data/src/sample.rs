//! An item for training.

use crate::Image;

/// An item for training: data, and a condition, such as a label (`usize`) or a caption (`String`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample<X = Image, C = ()> {
    /// The data.
    pub data: X,
    /// The condition.
    pub condition: C,
}

impl<X, C> Sample<X, C> {
    /// Creates the item.
    pub fn new(data: X, condition: C) -> Self {
        Self { data, condition }
    }
}
