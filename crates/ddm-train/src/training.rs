//! A plain training loop.

use burn::module::{Module, ModuleDisplay};
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::tensor::{Device, Tensor, TensorData};
use ddm_schedule::Invalid;

use crate::keep::Keep;
use crate::replicas::Replicas;
use crate::state::State;
use crate::{
    Checkpoints, DataParallel, Decay, Ema, SampleLosses, StepLoss, StepNoise, Stopped, TrainError,
};

/// A plain training loop: draw, loss, backward, optimizer step, moving average.
///
/// The noise of a step is addressed by the seed and the step, so that step n needs no history;
/// [`resume`](Self::resume) saves checkpoints and continues from the last.
///
/// It reads the losses from the device only every ten steps, and keeps the network and the average
/// of that report. If a loss is not finite, it calls `loss` again with that network and the noise
/// of the failed step. A loss that is still not finite indicates bad data ([`TrainError::Data`]),
/// if `loss` draws its batch from the noise only. A learning rate is a scheduler of burn, or a
/// constant number. `docs/getting-started.md` shows how to write the loop yourself.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::AdamWConfig;
/// use burn::tensor::{Device, Tensor};
/// use ddm_train::Training;
/// let device = Device::flex().autodiff();
/// let training = Training { steps: 20, ema_decay: 0.9, seed: 1 };
/// let network = LinearConfig::new(1, 1).init(&device);
/// let trained = training.run(network, AdamWConfig::new().init(), 0.1, |network, _noise| {
///     let x = Tensor::<2>::ones([8, 1], &device);
///     Ok((network.forward(x) - 3.0).square().mean())
/// })?;
/// let [(_, first), (_, last)] = trained.losses[..] else { unreachable!("two readings") };
/// assert!(last < first);
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training<D = f64> {
    /// The number of optimizer steps; at least 1.
    pub steps: usize,
    /// The decay of the moving average: a number in [0, 1), or another [`Decay`].
    pub ema_decay: D,
    /// The seed of the noise passed to the loss.
    pub seed: u64,
}

/// The result of training.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trained<M> {
    /// The network after the last step, on the autodiff device, to continue training.
    pub network: M,
    /// The moving average, without autodiff and in f32 (or f64), for sampling.
    pub average: M,
    /// (steps taken, mean loss since the previous entry), in order.
    pub losses: Vec<(usize, f64)>,
}

/// The progress of training, for progress bars.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The number of steps taken.
    pub step: usize,
    /// The number of steps of the whole training.
    pub steps: usize,
    /// The mean loss since the previous report.
    pub loss: f64,
}

impl<D> Training<D> {
    /// Returns the training on several devices, each of which computes its part of the batch.
    pub fn on<'a>(&'a self, devices: &'a [Device]) -> DataParallel<'a, D> {
        DataParallel { training: self, devices }
    }
}

impl<D: Decay + Clone> Training<D> {
    /// The number of steps between two readings of the loss.
    const REPORT_EVERY: usize = 10;

    /// Trains `network`, which must be on an autodiff device. `loss` returns the loss of one step, a
    /// tensor of shape `[1]` or [`SampleLosses`]: it takes its batch, draws an example with the noise
    /// and calls the network.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is out of range, `loss` fails, or a loss is not finite. The
    /// error contains the result so far; it converts to a [`TrainError`] by `?`.
    pub fn run<M: Module, L: Into<StepLoss>>(
        &self,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        loss: impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
    ) -> Result<Trained<M>, Stopped<M>> {
        self.run_with(network, optimizer, learning_rate, loss, |_| ())
    }

    /// Trains as [`run`](Self::run), and calls `report` every ten steps and after the last.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`run`](Self::run).
    pub fn run_with<M: Module, L: Into<StepLoss>>(
        &self,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        loss: impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
        report: impl FnMut(Progress),
    ) -> Result<Trained<M>, Stopped<M>> {
        self.on(&[]).run_with(network, optimizer, learning_rate, loss, report)
    }

    /// Trains as [`run_with`](Self::run_with), for targets that cannot wait for the device, such as
    /// wasm.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`run`](Self::run).
    pub async fn run_async<M: Module, L: Into<StepLoss>>(
        &self,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        loss: impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
        report: impl FnMut(Progress),
    ) -> Result<Trained<M>, Stopped<M>> {
        self.on(&[]).run_async(network, optimizer, learning_rate, loss, report).await
    }

    /// Trains as [`run_with`](Self::run_with), from the last checkpoint of a folder on, and saves
    /// checkpoints there: those that are due and one at the end.
    ///
    /// A training that was interrupted, however, and goes on is the training that was not: network,
    /// average, optimizer and learning rate continue from the checkpoint, and the noise of a step depends
    /// on the seed and the step alone. On burn's flex all its bits are the same. That holds if `loss`
    /// draws all that it draws, batches included, from the noise, and what it keeps from step to step is
    /// saved with the checkpoints ([`Checkpoints::with`]).
    ///
    /// All else is as for a new training: give a network, an optimizer and a learning rate of the same
    /// kinds, and as many steps as before or more: with fewer, what the checkpoint has is returned. A
    /// constant learning rate may be another one.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::optim::AdamWConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use ddm_train::{Checkpoints, Training};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let device = Device::flex().autodiff();
    /// let train = |steps| {
    ///     let checkpoints = Checkpoints::open(folder)?.every(10)?;
    ///     let training = Training { steps, ema_decay: 0.9, seed: 1 };
    ///     let (network, adam) = (LinearConfig::new(1, 1).init(&device), AdamWConfig::new().init());
    ///     let loss = |network: &burn::nn::Linear, _: &mut _| {
    ///         Ok((network.forward(Tensor::<2>::ones([8, 1], &device)) - 3.0).square().mean())
    ///     };
    ///     let trained = training.resume(&checkpoints, network, adam, 0.1, loss, |_| ())?;
    ///     Ok::<_, Box<dyn std::error::Error>>(trained)
    /// };
    /// train(20)?;
    /// let trained = train(40)?; // takes 20 steps more
    /// assert_eq!(trained.losses.len(), 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`run`](Self::run), and [`TrainError::Checkpoint`] if a checkpoint cannot be
    /// written, is of another training, or none is whole.
    pub fn resume<M: Module + ModuleDisplay, L: Into<StepLoss>>(
        &self,
        checkpoints: &Checkpoints,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        loss: impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
        report: impl FnMut(Progress),
    ) -> Result<Trained<M>, Stopped<M>> {
        self.on(&[]).resume(checkpoints, network, optimizer, learning_rate, loss, report)
    }

    #[expect(clippy::too_many_arguments, reason = "those of `run_async`, and where to keep states")]
    pub(crate) async fn train<M: Module, L: Into<StepLoss>>(
        &self,
        devices: &[Device],
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: ModuleLrScheduler,
        loss: impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
        report: impl FnMut(Progress),
        read: impl AsyncFn(Tensor<1>) -> Result<TensorData, String>,
        keep: impl Keep<M, D>,
    ) -> Result<Trained<M>, Stopped<M>> {
        let mut trained = Trained { average: network.valid(), network, losses: Vec::new() };
        let run = async {
            Invalid::require(self.steps > 0, "training steps", 0.0, "at least 1")?;
            let ema = Ema::new(&trained.network, self.ema_decay.clone())?;
            let network = trained.network.clone();
            let state = State { step: 0, network, ema, optimizer, learning_rate };
            let (state, losses) = keep.start(state)?;
            trained.losses = losses;
            let replicas = Replicas::new(&state.network, devices, &read).await?;
            self.steps(&mut trained, (state, replicas), loss, report, read, keep).await
        };
        match run.await {
            Ok(()) => Ok(trained),
            Err(error) => Err(Stopped { error, trained: Box::new(trained), checkpoint: None }),
        }
    }

    /// Takes the steps that are left. `trained` is the result of the last report, when all losses were
    /// finite.
    async fn steps<M: Module, L: Into<StepLoss>>(
        &self,
        trained: &mut Trained<M>,
        (mut state, mut replicas): (State<M, D>, Replicas<M>),
        mut loss: impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
        mut report: impl FnMut(Progress),
        read: impl AsyncFn(Tensor<1>) -> Result<TensorData, String>,
        keep: impl Keep<M, D>,
    ) -> Result<(), TrainError> {
        let (steps, seed) = (self.steps, self.seed);
        let (mut unread, mut samples) = (Vec::new(), Vec::new());
        (trained.network, trained.average) = (state.network.clone(), state.ema.average().clone());
        while state.step < steps {
            let step = state.step + 1;
            let (loss_of_step, samples_of_step, gradients) =
                replicas.gradients(&state.network, (seed, step), &mut loss, &read).await?;
            let rate = state.learning_rate.step();
            state.network = state.optimizer.step(rate, state.network, gradients);
            state.ema.update(&state.network)?;
            state.step = step;
            unread.push(loss_of_step);
            samples.push(samples_of_step);
            if !step.is_multiple_of(Self::REPORT_EVERY) && step != steps && !keep.is_due(step) {
                continue;
            }
            let losses = values(read(Tensor::cat(std::mem::take(&mut unread), 0)).await)?;
            if let Some(at) = losses.iter().position(|loss| !loss.is_finite()) {
                // Repeat the draws with the weights of the last report, to detect bad data.
                let (step, found) = (step + 1 + at - losses.len(), losses[at]);
                let again =
                    replicas.losses(&trained.network, (seed, step), &mut loss, &read).await?;
                return Err(match again.iter().all(|loss| loss.is_finite()) {
                    true => {
                        let times = times(&samples[at], &read).await;
                        TrainError::Diverged { step, loss: found, times }
                    }
                    false => TrainError::Data { step, loss: found },
                });
            }
            samples.clear();
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            trained.losses.push((step, mean));
            (trained.network, trained.average) =
                (state.network.clone(), state.ema.average().clone());
            if keep.is_due(step) {
                keep.save(&state, &trained.losses)?;
            }
            report(Progress { step, steps, loss: mean });
        }
        Ok(())
    }
}

/// Returns the times of the samples whose losses are not finite, as far as they can be read.
async fn times(
    samples: &[SampleLosses],
    read: &impl AsyncFn(Tensor<1>) -> Result<TensorData, String>,
) -> Vec<f64> {
    let mut times = Vec::new();
    for samples in samples {
        let losses = values(read(samples.losses().clone()).await).unwrap_or_default();
        times.extend(samples.times_not_finite(&losses));
    }
    times
}

pub(crate) fn values<E: std::fmt::Display>(
    data: Result<TensorData, E>,
) -> Result<Vec<f64>, TrainError> {
    let data = data.map_err(|error| TrainError::Read { reason: error.to_string() })?;
    Ok(data.iter::<f64>().collect())
}
