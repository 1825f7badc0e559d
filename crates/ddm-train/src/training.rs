//! A plain training loop.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use burn::module::Module;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Gradients, Tensor, TensorData};
use ddm_noise::{HostNoise, NoiseSource, Stream};
use ddm_schedule::Invalid;

use crate::{Decay, Ema, Stopped, TrainError};

/// A plain training loop: draw, loss, backward, optimizer step, moving average.
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

impl<D: Decay + Clone> Training<D> {
    /// The number of steps between two readings of the loss.
    const REPORT_EVERY: usize = 10;

    /// Trains `network`, which must be on an autodiff device. `loss` returns the loss of one step,
    /// of shape `[1]`: it takes its batch, draws an example with the noise and calls the network.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is out of range, `loss` fails, or a loss is not finite. The
    /// error contains the result so far; it converts to a [`TrainError`] by `?`.
    pub fn run<M: Module>(
        &self,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        loss: impl FnMut(&M, &mut HostNoise) -> Result<Tensor<1>, TrainError>,
    ) -> Result<Trained<M>, Stopped<M>> {
        self.run_with(network, optimizer, learning_rate, loss, |_| ())
    }

    /// Trains as [`run`](Self::run), and calls `report` every ten steps and after the last.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`run`](Self::run).
    pub fn run_with<M: Module>(
        &self,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        loss: impl FnMut(&M, &mut HostNoise) -> Result<Tensor<1>, TrainError>,
        report: impl FnMut(Progress),
    ) -> Result<Trained<M>, Stopped<M>> {
        let read = async |tensor: Tensor<1>| values(tensor.try_into_data());
        let learning_rate = learning_rate.into();
        at_once(self.train(network, optimizer, learning_rate, loss, report, read))
    }

    /// Trains as [`run_with`](Self::run_with), for targets that cannot wait for the device, such as
    /// wasm.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`run`](Self::run).
    pub async fn run_async<M: Module>(
        &self,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        loss: impl FnMut(&M, &mut HostNoise) -> Result<Tensor<1>, TrainError>,
        report: impl FnMut(Progress),
    ) -> Result<Trained<M>, Stopped<M>> {
        let read = async |tensor: Tensor<1>| values(tensor.into_data_async().await);
        let learning_rate = learning_rate.into();
        self.train(network, optimizer, learning_rate, loss, report, read).await
    }

    async fn train<M: Module>(
        &self,
        network: M,
        optimizer: ModuleOptimizer,
        learning_rate: ModuleLrScheduler,
        loss: impl FnMut(&M, &mut HostNoise) -> Result<Tensor<1>, TrainError>,
        report: impl FnMut(Progress),
        read: impl AsyncFn(Tensor<1>) -> Result<Vec<f64>, TrainError>,
    ) -> Result<Trained<M>, Stopped<M>> {
        let mut trained = Trained { average: network.valid(), network, losses: Vec::new() };
        match self.steps(&mut trained, optimizer, learning_rate, loss, report, read).await {
            Ok(()) => Ok(trained),
            Err(error) => Err(Stopped { error, trained: Box::new(trained) }),
        }
    }

    /// Runs the steps. `trained` is the result of the last report, when all losses were finite.
    async fn steps<M: Module>(
        &self,
        trained: &mut Trained<M>,
        mut optimizer: ModuleOptimizer,
        mut learning_rate: ModuleLrScheduler,
        mut loss: impl FnMut(&M, &mut HostNoise) -> Result<Tensor<1>, TrainError>,
        mut report: impl FnMut(Progress),
        read: impl AsyncFn(Tensor<1>) -> Result<Vec<f64>, TrainError>,
    ) -> Result<(), TrainError> {
        let steps = self.steps;
        Invalid::require(steps > 0, "training steps", 0.0, "at least 1")?;
        let mut network = trained.network.clone();
        let mut ema = Ema::new(&network, self.ema_decay.clone())?;
        let mut noise = HostNoise::new(self.seed);
        noise.switch_to(Stream::Training);
        let (mut unread, mut drawn_from) = (Vec::new(), Vec::new());

        for step in 1..=steps {
            drawn_from.push(noise.clone());
            let loss_of_step = loss(&network, &mut noise)?;
            let gradients = GradientsParams::from_grads(backward(&loss_of_step), &network);
            network = optimizer.step(learning_rate.step(), network, gradients);
            ema.update(&network)?;
            unread.push(loss_of_step.inner().mean());
            if !step.is_multiple_of(Self::REPORT_EVERY) && step != steps {
                continue;
            }
            let losses = read(Tensor::cat(std::mem::take(&mut unread), 0)).await?;
            if let Some(at) = losses.iter().position(|loss| !loss.is_finite()) {
                // Repeat the draws with the weights of the last report, to detect bad data.
                let (step, found) = (step + 1 + at - losses.len(), losses[at]);
                let again = loss(&trained.network, &mut drawn_from[at])?.inner().mean();
                let again = read(again).await?;
                return Err(match again.iter().all(|loss| loss.is_finite()) {
                    true => TrainError::Diverged { step, loss: found },
                    false => TrainError::Data { step, loss: found },
                });
            }
            drawn_from.clear();
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            trained.losses.push((step, mean));
            (trained.network, trained.average) = (network.clone(), ema.average().clone());
            report(Progress { step, steps, loss: mean });
        }
        Ok(())
    }
}

/// Returns the gradients of a loss.
fn backward(loss: &Tensor<1>) -> Gradients {
    #[cfg(feature = "kernels")]
    if ddm_kernels::burn::is_on_flex(loss) {
        return ddm_kernels::pass(|| loss.backward());
    }
    loss.backward()
}

pub(crate) fn values<E: std::fmt::Display>(
    data: Result<TensorData, E>,
) -> Result<Vec<f64>, TrainError> {
    let data = data.map_err(|error| TrainError::Read { reason: error.to_string() })?;
    Ok(data.iter::<f64>().collect())
}

/// Returns the value of a future that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the synchronous reader is ready at once"),
    }
}
