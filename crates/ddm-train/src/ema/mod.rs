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
use weights::{Combine, Weights};

/// The moving average `θ̄ ← θ̄ + (1 − d)(θ − θ̄)` of the weights of any burn module.
///
/// Samples drawn with θ̄ are better than with the last θ. d is a [`Decay`]: a number with warm-up,
/// or a [`PowerDecay`]. Averages of several decays are several `Ema`s, updated side by side.
///
/// The average is kept in f32 whatever the float type of the module, and in f64 for f64. It moves
/// in steps of its own rounding: in f32 at d = 0.9999 it comes within 0.06 % of a weight that stays
/// the same. Parameters are matched by their paths in the module, such as "down.0.conv.weight", so a
/// training can go on with the weights in another module of the same architecture. Integer and
/// boolean parameters are those of the last module.
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
    /// Starts at the weights of `module`.
    ///
    /// # Errors
    /// A decay outside its range.
    pub fn new(module: &M, decay: D) -> Result<Self, TrainError> {
        decay.check()?;
        let average = module.valid();
        let origin = Weights::of(&average);
        let average = average.map(&mut Combine { origin, others: vec![], path: vec![] });
        Ok(Self { average, decay, updates: 0 })
    }

    /// Takes the weights of `module` into the average.
    ///
    /// # Errors
    /// [`TrainError::Parameter`] where the module has not the parameters of the average; the average
    /// is then as before.
    pub fn update(&mut self, module: &M) -> Result<(), TrainError> {
        let latest = module.valid();
        let (means, weights) = (Weights::of(&self.average), Weights::of(&latest));
        means.require_same(&weights)?;
        let rate = 1.0 - self.decay.decay(self.updates);
        let (origin, others) =
            if rate == 1.0 { (weights, vec![]) } else { (means, vec![(rate, weights)]) };
        // The old average lets go of its tensors, so that they can be changed in place.
        self.average = latest.clone();
        self.average = latest.map(&mut Combine { origin, others, path: vec![] });
        self.updates += 1;
        Ok(())
    }

    /// Updates so far.
    pub fn updates(&self) -> usize {
        self.updates
    }

    /// The averaged module, without autodiff: ready to sample with.
    pub fn average(&self) -> &M {
        &self.average
    }

    /// The averaged module itself.
    pub fn into_average(self) -> M {
        self.average
    }
}

impl<M: Module + ModuleDisplay, D: Decay> Ema<M, D> {
    /// The average and the number of updates as a record of burn's, to be saved.
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
    /// A module without parameters.
    pub fn record(&self) -> Result<ModuleRecord, TrainError> {
        Ok(Saved::new(self.average.clone(), self.updates)?.into_record())
    }

    /// The average of a record, which goes on where it was saved. `module` says the architecture and
    /// the device, `decay` is that of the saved average.
    ///
    /// # Errors
    /// [`TrainError::Record`] where the record belongs to another architecture or cannot be read.
    pub fn from_record(module: &M, decay: D, record: ModuleRecord) -> Result<Self, TrainError> {
        decay.check()?;
        let saved = Saved::new(module.valid(), 0)?.try_load_record(record);
        let Saved { average, updates } =
            saved.map_err(|error| TrainError::Record { reason: error.to_string() })?;
        let updates: Result<i64, _> = updates.val().try_into_scalar();
        let updates = updates.map_err(|error| TrainError::Record { reason: error.to_string() })?;
        let updates = usize::try_from(updates)
            .map_err(|error| TrainError::Record { reason: error.to_string() })?;
        Ok(Self { average, decay, updates })
    }
}

/// What is saved of an average.
#[derive(Module, Debug)]
struct Saved<M: Module + ModuleDisplay> {
    average: M,
    updates: Param<Tensor<1, Int>>,
}

impl<M: Module + ModuleDisplay> Saved<M> {
    fn new(average: M, updates: usize) -> Result<Self, Invalid> {
        let Some(device) = average.devices().into_iter().next() else {
            let allowed = "at least 1: there is nothing to average";
            return Err(Invalid { name: "the number of parameters", value: 0.0, allowed });
        };
        let updates = Tensor::from_data([updates as i64], &device);
        Ok(Self { average, updates: Param::initialized(ParamId::new(), updates) })
    }
}
