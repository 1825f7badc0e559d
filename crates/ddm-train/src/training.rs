//! A plain training loop.

use ddm_schedule::Invalid;
use std::time::Duration;

use burn::module::Module;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use ddm_noise::HostNoise;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{Ema, TrainError};

/// A plain loop: draw, loss, backward, optimizer step, moving average; with a progress bar.
///
/// It reads the loss back from the device only every few steps. Learning rates are burn's
/// schedulers; a number is a constant one. Whoever needs more writes the loop out: it is what you
/// see in [`run`](Self::run).
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
pub struct Training {
    /// Optimizer steps to take; at least 1.
    pub steps: usize,
    /// Decay of the moving average, in [0, 1); see [`Ema`].
    pub ema_decay: f64,
    /// Seed of the noise that the loss draws from.
    pub seed: u64,
}

/// What training leaves.
#[derive(Clone, Debug)]
pub struct Trained<M> {
    /// The network after the last step, still on the autodiff device: to train on.
    pub network: M,
    /// The moving average, without autodiff: to sample with.
    pub average: M,
    /// (steps taken, mean loss since the entry before), in order.
    pub losses: Vec<(usize, f64)>,
}

impl Training {
    /// Steps between two readings of the loss.
    const REPORT_EVERY: usize = 10;

    /// Trains `network`, which must be on an autodiff device. `loss` gives the loss of one step,
    /// of shape `[1]`: it takes its batch, draws an example with the noise, calls the network.
    pub fn run<M: Module>(
        &self,
        mut network: M,
        mut optimizer: ModuleOptimizer,
        learning_rate: impl Into<ModuleLrScheduler>,
        mut loss: impl FnMut(&M, &mut HostNoise) -> Result<Tensor<1>, TrainError>,
    ) -> Result<Trained<M>, TrainError> {
        Invalid::require(self.steps > 0, "training steps", 0.0, "at least 1")?;
        let mut learning_rate = learning_rate.into();
        let mut ema = Ema::new(&network, self.ema_decay)?;
        let mut noise = HostNoise::new(self.seed);
        let mut losses = Vec::new();
        let mut unread: Vec<Tensor<1>> = Vec::new();
        let progress = progress_bar(self.steps);

        for step in 1..=self.steps {
            let loss = loss(&network, &mut noise)?;
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(learning_rate.step(), network, gradients);
            ema.update(&network);
            unread.push(loss.inner());
            if step % Self::REPORT_EVERY == 0 || step == self.steps {
                let mean = Tensor::cat(std::mem::take(&mut unread), 0).mean();
                let mean: f64 = mean.into_scalar();
                if !mean.is_finite() {
                    return Err(TrainError::Diverged { step, loss: mean });
                }
                losses.push((step, mean));
                progress.set_message(format!("{mean:.4}"));
            }
            progress.inc(1);
        }
        progress.finish();
        Ok(Trained { network, average: ema.into_average(), losses })
    }
}

/// Hidden by itself where standard error is no terminal.
fn progress_bar(steps: usize) -> ProgressBar {
    let template = "training  {wide_bar} {pos}/{len}  loss {msg}  {eta} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let progress = ProgressBar::new(steps as u64).with_style(style);
    progress.enable_steady_tick(Duration::from_millis(500));
    progress
}
