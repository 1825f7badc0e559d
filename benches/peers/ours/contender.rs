//! What is run in each case.

use std::error::Error;
use std::fmt;
use std::fs::read_to_string;
use std::path::Path;

use clap::ValueEnum;
use ddm_core::burn::module::Module;
use ddm_core::burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use ddm_core::burn::tensor::TensorData;
use ddm_core::diffusers::SchedulerConfig;
use ddm_core::models::blocks::Ops;
use ddm_core::models::{Network, Prepared, UNet};
use ddm_core::prelude::*;

use crate::files::Tensors;

/// The learning rate of `networks.py`.
const LEARNING_RATE: f64 = 1e-4;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Case {
    A1,
    A4,
    B16,
    B64,
    B64Train,
    B16Sample20,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// One case, ready to run again and again.
pub(crate) trait Contender {
    /// What is timed. Gives the prediction, the images, or the loss.
    fn run(&mut self) -> Result<TensorData, Box<dyn Error>>;

    /// What is compared with the reference, after the first run gave `first`.
    fn outputs(&mut self, first: TensorData, _: &Tensors) -> Result<Tensors, Box<dyn Error>> {
        Ok([("output".to_owned(), first)].into())
    }
}

impl Case {
    pub(crate) fn contender(
        self,
        folder: &Path,
        data: &Tensors,
    ) -> Result<Box<dyn Contender>, Box<dyn Error>> {
        let device = Device::flex();
        let x = Tensor::from_data(data["x"].clone(), &device);
        let t = Tensor::from_data(data["t"].clone(), &device);
        let weights = folder.join(if matches!(self, Self::A1 | Self::A4) { "a" } else { "b" });
        Ok(match self {
            Self::A1 | Self::A4 | Self::B16 | Self::B64 => {
                Box::new(Forward { network: predictor(&weights, x.dims())?, x, t })
            }
            Self::B16Sample20 => {
                let config = read_to_string(folder.join("scheduler/scheduler_config.json"))?;
                let network = predictor(&weights, x.dims())?;
                Box::new(Sample { network, config: config.parse()?, x, steps: t.dims()[0] })
            }
            Self::B64Train => {
                let device = device.autodiff();
                Box::new(Train {
                    network: Some(UNet::from_diffusers(weights, &device)?),
                    optimizer: AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init(),
                    x: Tensor::from_data(data["x"].clone(), &device),
                    t: Tensor::from_data(data["t"].clone(), &device),
                    target: Tensor::from_data(data["target"].clone(), &device),
                })
            }
        })
    }
}

/// The network as a program has it that only predicts.
fn predictor(weights: &Path, shape: [usize; 4]) -> Result<Prepared<UNet>, Box<dyn Error>> {
    Ok(UNet::from_diffusers(weights, &Device::flex())?.prepare(shape)?)
}

struct Forward {
    network: Prepared<UNet>,
    x: Tensor<4>,
    t: Tensor<1>,
}

impl Contender for Forward {
    fn run(&mut self) -> Result<TensorData, Box<dyn Error>> {
        Ok(self.network.predict(self.x.clone(), self.t.clone()).into_data())
    }
}

struct Sample {
    network: Prepared<UNet>,
    config: SchedulerConfig,
    x: Tensor<4>,
    steps: usize,
}

impl Contender for Sample {
    fn run(&mut self) -> Result<TensorData, Box<dyn Error>> {
        let run = self.config.sampling(&self.network, self.steps)?;
        Ok(run.start_from(self.x.clone())?.finish().into_data())
    }
}

struct Train {
    /// Absent only within a step.
    network: Option<UNet>,
    optimizer: ModuleOptimizer,
    x: Tensor<4>,
    t: Tensor<1>,
    target: Tensor<4>,
}

impl Contender for Train {
    fn run(&mut self) -> Result<TensorData, Box<dyn Error>> {
        let network = self.network.take().ok_or("a step failed")?;
        let prediction = network.predict(self.x.clone(), self.t.clone());
        let loss = (prediction - self.target.clone()).square().mean();
        let gradients = Ops::pass(&loss, || loss.backward());
        let gradients = GradientsParams::from_grads(gradients, &network);
        self.network = Some(self.optimizer.step(LEARNING_RATE, network, gradients));
        Ok(loss.into_data())
    }

    fn outputs(&mut self, first: TensorData, data: &Tensors) -> Result<Tensors, Box<dyn Error>> {
        let mut losses = vec![first];
        while losses.len() < data["output_loss"].num_elements() {
            losses.push(self.run()?);
        }
        let losses: Vec<f32> = losses.iter().flat_map(|loss| loss.iter::<f32>()).collect();
        let network = self.network.as_ref().ok_or("a step failed")?.valid();
        let prediction = network.predict(self.x.clone().inner(), self.t.clone().inner());
        let losses = TensorData::from(losses.as_slice());
        let output = prediction.into_data();
        Ok([("output".to_owned(), output), ("output_loss".to_owned(), losses)].into())
    }
}
