//! Batches addressed by the seed and the step.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use ddm_train::StepNoise;

/// A data loader of burn whose batch is a function of the seed and the step.
///
/// `batch` gets the noise of a step, with its number, and the device, and makes the input of the step: it
/// takes the rows of the data from the noise or the number, and puts the noise into the input too, for the
/// network's step to draw from. So the batch of step n needs no history, and a training can be resumed there.
///
/// ```
/// use burn::data::dataloader::DataLoader;
/// use burn::tensor::{Device, Tensor};
/// use ddm_learner::Steps;
/// use ddm_noise::NoiseSource;
/// let batch = |mut noise: ddm_train::StepNoise, device: &Device| {
///     Ok((noise.draw([8, 2], device), noise)) // data, and noise for its step
/// };
/// let steps = Steps::new(1, 100, &Device::flex(), batch);
/// let first: Vec<_> = steps.iter().take(2).collect();
/// assert_eq!(first.len(), 2);
/// assert_eq!(steps.position(), 2); // the next epoch goes on from there
/// ```
pub struct Steps<I> {
    seed: u64,
    /// The steps of an epoch, and those of them that this loader has.
    epoch: usize,
    range: Range<usize>,
    /// Whether each epoch has the batches of the first.
    repeats: bool,
    device: Device,
    /// The number of steps taken.
    position: Arc<AtomicUsize>,
    batch: Arc<Batch<I>>,
}

type Batch<I> = dyn Fn(StepNoise, &Device) -> Result<I, DatasetError> + Send + Sync;

impl<I> Clone for Steps<I> {
    /// Returns a loader that shares its position with this one.
    fn clone(&self) -> Self {
        Self {
            range: self.range.clone(),
            device: self.device.clone(),
            position: self.position.clone(),
            batch: self.batch.clone(),
            ..*self
        }
    }
}

impl<I> fmt::Debug for Steps<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Steps");
        f.field("seed", &self.seed).field("epoch", &self.epoch).field("range", &self.range);
        f.field("position", &self.position).finish_non_exhaustive()
    }
}

impl<I> Steps<I> {
    /// Creates a loader of `epoch` steps an epoch; 1 if it is 0.
    pub fn new(
        seed: u64,
        epoch: usize,
        device: &Device,
        batch: impl Fn(StepNoise, &Device) -> Result<I, DatasetError> + Send + Sync + 'static,
    ) -> Self {
        let epoch = epoch.max(1);
        Self {
            seed,
            epoch,
            range: 0..epoch,
            repeats: false,
            device: device.clone(),
            position: Arc::default(),
            batch: Arc::new(batch),
        }
    }

    /// Returns a loader whose epochs are all the same, for validation: data and noise do not change, so
    /// that losses can be compared.
    #[must_use]
    pub fn repeating(self) -> Self {
        Self { repeats: true, ..self }
    }

    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the number of steps of an epoch.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// Returns the number of steps taken.
    pub fn position(&self) -> usize {
        self.position.load(Ordering::Relaxed)
    }

    /// Continues after this number of steps.
    pub fn seek(&self, step: usize) {
        self.position.store(step, Ordering::Relaxed);
    }
}

impl<I: 'static> From<Steps<I>> for Arc<dyn DataLoader<I>> {
    fn from(steps: Steps<I>) -> Self {
        Arc::new(steps)
    }
}

impl<I: 'static> DataLoader<I> for Steps<I> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<I> + 'a> {
        if self.repeats {
            self.seek(0);
        }
        Box::new(Epoch { steps: self, number: self.position() / self.epoch })
    }

    fn num_items(&self) -> usize {
        self.range.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<I>> {
        Arc::new(Self { device: device.clone(), ..self.clone() })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<I>> {
        let end = end.min(self.range.len());
        let range = self.range.start + start.min(end)..self.range.start + end;
        let position = Arc::new(AtomicUsize::new(range.start));
        Arc::new(Self { range, position, ..self.clone() })
    }
}

/// The steps of one epoch that are left.
struct Epoch<'a, I> {
    steps: &'a Steps<I>,
    number: usize,
}

impl<I> Epoch<'_, I> {
    /// Returns the steps taken in this epoch, of those that the loader has.
    fn taken(&self) -> usize {
        let Steps { epoch, range, .. } = self.steps;
        self.steps.position().saturating_sub(self.number * epoch + range.start).min(range.len())
    }
}

impl<I> Iterator for Epoch<'_, I> {
    type Item = Result<I, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Steps { seed, epoch, range, device, batch, .. } = self.steps;
        let taken = self.taken();
        if taken == range.len() {
            return None;
        }
        let step = self.number * epoch + range.start + taken;
        let next = match taken + 1 == range.len() {
            true => (self.number + 1) * epoch + range.start,
            false => step + 1,
        };
        self.steps.seek(next);
        Some(batch(StepNoise::new(*seed, step + 1), device))
    }
}

impl<I> DataLoaderIterator<I> for Epoch<'_, I> {
    fn progress(&self) -> Progress {
        let taken = self.steps.position() - self.number * self.steps.epoch - self.steps.range.start;
        let taken = taken.min(self.steps.range.len());
        Progress::new(taken, self.steps.range.len(), Some("steps".to_owned()))
    }
}
