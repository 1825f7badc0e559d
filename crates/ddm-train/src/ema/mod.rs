//! An exponential moving average of a module's weights.

mod decay;
mod reconstruct;
mod weights;

use burn::module::{Module, ModuleDisplay, Param, ParamId};
use burn::store::ModuleRecord;
use burn::tensor::{Int, Tensor};
use ddm_schedule::Invalid;

use crate::TrainError;
pub use decay::{Decay, PowerDecay};
pub use reconstruct::reconstruct;
use weights::Combine;
pub(crate) use weights::Weights;

/// The exponential moving average `θ̄ ← θ̄ + (1 − d)(θ − θ̄)` of the weights of any burn module.
///
/// Samples drawn with θ̄ are better than those of the last θ. d is a [`Decay`]: a number with
/// warm-up, or a [`PowerDecay`]. For several decays, update several `Ema`s.
///
/// The average is in f64 if the module is, and else in f32. Rounding limits it: in f32 at
/// d = 0.9999 it comes within 0.06 % of a constant weight. Parameters are matched by their paths in
/// the module, such as "down.0.conv.weight", so training can continue with the weights in another
/// module of the same architecture. Integer and boolean parameters are those of the last module.
///
/// Source: Ho et al., app. B (decay 0.9999), arXiv 2006.11239.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use ddm_train::Ema;
/// let network = LinearConfig::new(2, 2).init(&Device::flex());
/// let mut ema = Ema::new(&network, 0.999)?;
/// ema.update(&network)?; // after every optimizer step
/// let smooth = ema.average(); // for sampling
/// # assert_eq!(smooth.weight.val().dims(), [2, 2]);
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ema<M, D = f64> {
    average: M,
    decay: D,
    updates: usize,
}

impl<M: Module, D: Decay> Ema<M, D> {
    /// Creates an average that starts at the weights of `module`.
    ///
    /// # Errors
    ///
    /// Returns an error if the decay is out of range.
    pub fn new(module: &M, decay: D) -> Result<Self, TrainError> {
        decay.check()?;
        let average = module.valid();
        let origin = Weights::of(&average);
        let average = average.map(&mut Combine { origin, others: vec![], path: vec![] });
        Ok(Self { average, decay, updates: 0 })
    }

    /// Updates the average with the weights of `module`.
    ///
    /// # Errors
    ///
    /// Returns [`TrainError::Parameter`] if the module has other parameters than the average, which
    /// then does not change.
    pub fn update(&mut self, module: &M) -> Result<(), TrainError> {
        let latest = module.valid();
        let (means, weights) = (Weights::of(&self.average), Weights::of(&latest));
        means.require_same(&weights)?;
        let rate = 1.0 - self.decay.decay(self.updates);
        let (origin, others) =
            if rate == 1.0 { (weights, vec![]) } else { (means, vec![(rate, weights)]) };
        // The old average drops its tensors, so that they can be changed in place.
        self.average = latest.clone();
        self.average = latest.map(&mut Combine { origin, others, path: vec![] });
        self.updates += 1;
        Ok(())
    }

    /// Returns the number of updates so far.
    pub fn updates(&self) -> usize {
        self.updates
    }

    /// Returns the averaged module, without autodiff, for sampling.
    pub fn average(&self) -> &M {
        &self.average
    }

    /// Returns the decay.
    pub(crate) fn into_decay(self) -> D {
        self.decay
    }

    /// Returns the averaged module by value.
    pub fn into_average(self) -> M {
        self.average
    }
}

impl<M: Module + ModuleDisplay, D: Decay> Ema<M, D> {
    /// Returns the average and the number of updates as a burn record, to be saved.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::store::ModuleRecord;
    /// use burn::tensor::Device;
    /// use ddm_train::Ema;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("ema.bpk");
    /// let config = LinearConfig::new(2, 2);
    /// Ema::new(&config.init(&Device::flex()), 0.999)?.record()?.save(&path)?;
    /// // Later, with any module of the same architecture:
    /// let network = config.init(&Device::flex());
    /// let ema = Ema::from_record(&network, 0.999, ModuleRecord::load(&path)?)?;
    /// # assert_eq!(ema.updates(), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error for a module without parameters.
    pub fn record(&self) -> Result<ModuleRecord, TrainError> {
        Ok(Saved::new(self.average.clone(), self.updates)?.into_record())
    }

    /// Restores an average from a record. `module` defines the architecture and the device; `decay`
    /// must be that of the saved average.
    ///
    /// # Errors
    ///
    /// Returns [`TrainError::Record`] if the record is of another architecture or cannot be read.
    pub fn from_record(module: &M, decay: D, record: ModuleRecord) -> Result<Self, TrainError> {
        decay.check()?;
        Self::restored(module.valid(), decay, record)
    }

    /// Returns the average of a record, with the same decay.
    pub(crate) fn with_record(&self, record: ModuleRecord) -> Result<Self, TrainError>
    where
        D: Clone,
    {
        Self::restored(self.average.clone(), self.decay.clone(), record)
    }

    fn restored(module: M, decay: D, record: ModuleRecord) -> Result<Self, TrainError> {
        let saved = Saved::new(module, 0)?.try_load_record(record);
        let Saved { average, updates } =
            saved.map_err(|error| TrainError::Record { reason: error.to_string() })?;
        let updates: Result<i64, _> = updates.val().try_into_scalar();
        let updates = updates.map_err(|error| TrainError::Record { reason: error.to_string() })?;
        let updates = usize::try_from(updates)
            .map_err(|error| TrainError::Record { reason: error.to_string() })?;
        Ok(Self { average, decay, updates })
    }
}

/// The saved part of an average.
#[derive(Module, Debug)]
struct Saved<M: Module + ModuleDisplay> {
    average: M,
    updates: Param<Tensor<1, Int>>,
}

impl<M: Module + ModuleDisplay> Saved<M> {
    fn new(average: M, updates: usize) -> Result<Self, Invalid> {
        let Some(device) = average.devices().into_iter().next() else {
            let allowed = "at least 1 to be averaged";
            return Err(Invalid { name: "the number of parameters", value: 0.0, allowed });
        };
        let updates = Tensor::from_data([updates as i64], &device);
        Ok(Self { average, updates: Param::initialized(ParamId::new(), updates) })
    }
}
