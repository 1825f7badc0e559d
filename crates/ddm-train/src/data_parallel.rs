//! The training loop on several devices.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use burn::module::{Module, ModuleDisplay};
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::tensor::{Device, Tensor};

use crate::keep::{InFolder, Nowhere};
use crate::{
    Checkpoints, Decay, Progress, StepLoss, StepNoise, Stopped, TrainError, Trained, Training,
};

/// A [`Training`] on several devices, of this machine or of others, from [`Training::on`].
///
/// In each step `loss` is called once for each device, with a copy of the network there and the noise of
/// its part of the batch ([`StepNoise::for_part`]), and makes its data on the device of that network. The
/// step is that of the mean loss. So n devices with B samples each train as one with n B does: the same
/// draws, the same losses but for rounding. What depends on the batch as a whole is of the device's part:
/// [`pair`](crate::pair), [`Stratified`](crate::Stratified) times, the coin of self-conditioning, a mean
/// with weights; and dropout draws other numbers.
///
/// The network stays on its own device, with the average, the optimizer and all that is saved. That may be
/// one of the devices, but need not: to be safe from servers that fail, keep it in the machine of the
/// program. Its weights go to the other devices in each step, and their gradients come back, through the
/// memory of the program: 4 bytes a parameter and device each way. So the batch of a device should keep
/// it busy for longer than that takes. A device that fails is [`TrainError::Device`].
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::AdamWConfig;
/// use burn::tensor::Device;
/// use ddm_noise::NoiseSource;
/// use ddm_train::{StepNoise, Training};
/// let training = Training { steps: 20, ema_decay: 0.9, seed: 1 };
/// let network = LinearConfig::new(1, 1).init(&Device::flex().autodiff());
/// let devices = [Device::flex(), Device::flex()]; // Device::cuda(0), Device::cuda(1)
/// let adam = AdamWConfig::new().init();
/// let loss = |network: &burn::nn::Linear, noise: &mut StepNoise| {
///     let device = &network.weight.device();
///     let x = noise.draw([8, 1], device); // 16 samples a step
///     Ok((network.forward(x) - 3.0).square().mean())
/// };
/// let trained = training.on(&devices).run(network, adam, 0.1, loss)?;
/// let [(_, first), (_, last)] = trained.losses[..] else { unreachable!("two readings") };
/// assert!(last < first);
/// # Ok::<(), ddm_train::TrainError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DataParallel<'a, D = f64> {
    pub(crate) training: &'a Training<D>,
    pub(crate) devices: &'a [Device],
}

impl<D: Decay + Clone> DataParallel<'_, D> {
    /// Trains as [`Training::run`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Training::run`], [`TrainError::Device`] if a device fails, and
    /// [`TrainError::Invalid`] if parts of the network are on several devices.
    pub fn run<M: Module, L: Into<StepLoss>>(
        &self,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        loss: impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
    ) -> Result<Trained<M>, Stopped<M>> {
        self.run_with(network, optimizer, learning_rate, loss, |_| ())
    }

    /// Trains as [`Training::run_with`].
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
        let read =
            async |tensor: Tensor<1>| tensor.try_into_data().map_err(|error| error.to_string());
        let (on, rate) = (self.devices, learning_rate.into());
        at_once(self.training.train(on, network, optimizer, rate, loss, report, read, Nowhere))
    }

    /// Trains as [`Training::run_async`].
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
        let read = async |tensor: Tensor<1>| {
            tensor.into_data_async().await.map_err(|error| error.to_string())
        };
        let (on, rate) = (self.devices, learning_rate.into());
        self.training.train(on, network, optimizer, rate, loss, report, read, Nowhere).await
    }

    /// Trains as [`Training::resume`]. A checkpoint does not know the devices: a training continues on
    /// others, or on one with the whole batch.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`run`](Self::run), and those of [`Training::resume`].
    pub fn resume<M: Module + ModuleDisplay, L: Into<StepLoss>>(
        &self,
        checkpoints: &Checkpoints,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        loss: impl FnMut(&M, &mut StepNoise) -> Result<L, TrainError>,
        report: impl FnMut(Progress),
    ) -> Result<Trained<M>, Stopped<M>> {
        let read =
            async |tensor: Tensor<1>| tensor.try_into_data().map_err(|error| error.to_string());
        let Training { seed, steps, .. } = *self.training;
        let keep = InFolder { checkpoints, seed, steps };
        let (on, rate) = (self.devices, learning_rate.into());
        let run = self.training.train(on, network, optimizer, rate, loss, report, read, keep);
        at_once(run).map_err(|stopped| {
            let last = checkpoints.last().ok().flatten();
            Stopped { checkpoint: last.map(|last| last.directory().to_owned()), ..stopped }
        })
    }
}

/// Returns the value of a future that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the synchronous reader is ready at once"),
    }
}
