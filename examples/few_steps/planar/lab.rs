//! What all trainings on points share: the data and the optimizer.

use std::error::Error;

use ddm_core::burn::module::{Module, ModuleDisplay};
use ddm_core::burn::optim::AdamWConfig;
use ddm_core::burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use ddm_core::prelude::*;
use ddm_core::train::TrainError;
use ddm_examples::data::dino;
use ddm_examples::progress::training_bar;
use ddm_examples::tensors::from_points;

use crate::Args;

/// Points in a training batch.
const BATCH: usize = 512;
/// The std of what is added to a point of the data set.
const WIDTH: f64 = 0.02;

pub(crate) struct Lab {
    pub(crate) schedule: Cosine,
    /// The device to train on.
    pub(crate) taped: Device,
    /// The training steps of networks that start at random.
    pub(crate) long: usize,
    /// The training steps of students that start with their teacher's weights.
    pub(crate) steps: usize,
    points: Tensor<2>,
    seed: u64,
}

impl Lab {
    pub(crate) fn new(args: &Args, device: &Device) -> Self {
        let taped = device.clone().autodiff();
        Self {
            schedule: Cosine::default(),
            points: from_points(&dino(), &taped),
            taped,
            long: args.training_steps.unwrap_or(4000),
            steps: args.student_steps.unwrap_or(2000),
            seed: args.seed,
        }
    }

    /// Draws points.
    pub(crate) fn data(&self, count: usize, noise: &mut HostNoise) -> Tensor<2> {
        let all = self.points.dims()[0] as f64;
        let rows: Vec<i32> = noise.uniform(count).iter().map(|u| (u * all) as i32).collect();
        let rows = Tensor::from_data(rows.as_slice(), &self.taped);
        let chosen = self.points.clone().select(0, rows);
        let width = noise.draw(chosen.dims(), &self.taped) * WIDTH;
        chosen + width
    }

    /// Draws the points of a training step.
    pub(crate) fn batch(&self, noise: &mut StepNoise) -> Tensor<2> {
        self.data(BATCH, noise)
    }

    /// Trains a network and returns the average of its weights.
    pub(crate) fn train<M: Module + ModuleDisplay>(
        &self,
        network: M,
        steps: usize,
        rate: f64,
        loss: impl FnMut(&M, &mut StepNoise) -> Result<Tensor<1>, TrainError>,
    ) -> Result<M, Box<dyn Error>> {
        let training = Training { steps, ema_decay: 0.995, seed: self.seed };
        let rate = CosineAnnealingLrSchedulerConfig::new(rate, steps).init()?;
        let adam = AdamWConfig::new().init();
        match training.run_with(network, adam, rate, loss, training_bar()) {
            Ok(trained) => Ok(trained.average),
            Err(stopped) => Err(TrainError::from(stopped).into()),
        }
    }
}
