//! A source with its items converted.

use crate::{DataError, Source, Visit};

/// A source with a function applied to each item, on the threads that read.
///
/// ```
/// use ddm_data::{Map, Sample, Source, Visit};
/// let numbers = Map::new(vec![1.0f32, 2.0], |x| Sample::new([x], ()));
/// assert_eq!(numbers.read(1, &Visit::new(0, 0, 1))?.data, [2.0]);
/// # Ok::<(), ddm_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Map<S, F> {
    source: S,
    function: F,
}

impl<S, F> Map<S, F> {
    /// Creates the converted source.
    pub fn new<I>(source: S, function: F) -> Self
    where
        S: Source,
        F: Fn(S::Item) -> I,
    {
        Self { source, function }
    }
}

impl<S, F, I> Source for Map<S, F>
where
    S: Source,
    F: Fn(S::Item) -> I + Send + Sync,
    I: Send + 'static,
{
    type Item = I;

    fn len(&self) -> usize {
        self.source.len()
    }

    fn read(&self, index: usize, visit: &Visit) -> Result<I, DataError> {
        self.source.read(index, visit).map(&self.function)
    }

    fn name(&self, index: usize) -> String {
        self.source.name(index)
    }
}
