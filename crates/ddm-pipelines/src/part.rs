//! Networks that are loaded when they are needed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::PipelineError;

/// A part of a pipeline: a network that is there, or is loaded when it is first needed.
///
/// ```
/// use ddm_pipelines::Part;
/// let part = Part::lazy(|| Ok(6 * 7)).map(|number| Ok(number + 1));
/// assert_eq!(*part.get()?, 43); // loaded here, and kept
/// assert_eq!(*Part::new(43).get()?, 43);
/// # Ok::<(), ddm_pipelines::PipelineError>(())
/// ```
pub struct Part<T> {
    load: Box<dyn Fn() -> Result<Arc<T>, PipelineError> + Send + Sync>,
    loaded: Mutex<Option<Arc<T>>>,
    kept: bool,
}

impl<T> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Part<T> {
    /// Returns the part that is `network`.
    pub fn new(network: T) -> Self {
        let network = Arc::new(network);
        Self::from_load(move || Ok(network.clone()))
    }

    /// Returns a part that `load` loads.
    pub fn lazy(load: impl Fn() -> Result<T, PipelineError> + Send + Sync + 'static) -> Self {
        Self::from_load(move || load().map(Arc::new))
    }

    fn from_load(load: impl Fn() -> Result<Arc<T>, PipelineError> + Send + Sync + 'static) -> Self {
        Self { load: Box::new(load), loaded: Mutex::new(None), kept: true }
    }

    /// Sets whether the network stays loaded after its first use. By default it does. If not, it is
    /// loaded for each use, so that no two parts of a pipeline are in memory at once.
    #[must_use]
    pub fn kept(self, kept: bool) -> Self {
        Self { kept, loaded: Mutex::new(None), ..self }
    }

    /// Returns the part whose network is changed by `change` after it is loaded.
    #[must_use]
    pub fn map<U: Send + Sync + 'static>(
        self,
        change: impl Fn(T) -> Result<U, PipelineError> + Send + Sync + 'static,
    ) -> Part<U>
    where
        T: Clone,
    {
        let (load, kept) = (self.load, self.kept);
        Part::lazy(move || change(Arc::unwrap_or_clone(load()?))).kept(kept)
    }

    /// Returns the network.
    ///
    /// # Errors
    ///
    /// Returns an error if it has to be loaded, and cannot.
    pub fn get(&self) -> Result<Arc<T>, PipelineError> {
        if !self.kept {
            return (self.load)();
        }
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(network) = &*loaded {
            return Ok(network.clone());
        }
        Ok(loaded.insert((self.load)()?).clone())
    }
}
