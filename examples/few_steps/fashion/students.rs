//! The students: from a teacher of v, or from data alone.

use std::cell::RefCell;
use std::error::Error;

use ddm_core::burn::module::Module;
use ddm_core::denoiser::{
    Clipped, Conditioned, ConsistencyPrediction, Parameterization, WithInterval, from_fn,
};
use ddm_core::models::{Network, UNet};
use ddm_core::prelude::*;
use ddm_core::schedule::{Edm, Levels};
use ddm_core::train::{
    Consistency, Discretization, DoublingSteps, Ema, FixedSteps, MeanFlow, ShrinkingGap, TrainError,
};
use ddm_examples::clothes::small_unet;

use super::lab::{Lab, SHAPE};
use crate::rounds::halve;

/// The learning rate of students that start with their teacher's weights, and of others.
const RATES: [f64; 2] = [5e-4, 2e-3];
/// The factor of the pseudo-Huber distance.
const HUBER: f64 = 0.03;
/// The levels of consistency distillation.
const LEVELS: usize = 16;

type Trained<T> = Result<T, Box<dyn Error>>;

impl Lab<'_> {
    /// Halves the steps of a teacher until one is left.
    pub(crate) fn progressive(&self, teacher: &UNet) -> Trained<Vec<(Levels, UNet)>> {
        let (first, steps) = (self.args.first.unwrap_or(16), self.steps().div_ceil(2));
        halve(teacher, &self.schedule, first, |halving, teacher| {
            let prepared = teacher.clone().prepare(SHAPE)?;
            self.train(teacher.clone().train(), steps, RATES[0], |network, noise| {
                let (images, labels) = self.batch(noise)?;
                let model = Conditioned::new(&prepared, labels.clone().inner().into());
                let teacher = Clipped::new(Model::new(model, VPrediction), -1.0, 1.0)?;
                let example = halving.draw(&teacher, images, noise)?;
                let (x_t, t) = (example.x_t.clone(), example.t.clone());
                example.loss(network.predict_with(x_t, t, labels.into()))
            })
        })
    }

    /// Distils a teacher into a consistency model. The target network is an average of the student's weights.
    pub(crate) fn distilled(&self, teacher: &UNet) -> Trained<UNet> {
        let consistency = Consistency::new(&self.schedule, VPrediction, FixedSteps::new(LEVELS)?)?;
        let consistency = consistency.pseudo_huber(HUBER)?.second_order();
        let (prepared, start) = (teacher.clone().prepare(SHAPE)?, teacher.clone().train());
        let average = RefCell::new(Ema::new(&start, 0.95)?);
        self.train(start, self.steps(), RATES[0], |network, noise| {
            let mut average = average.borrow_mut();
            average.update(network)?;
            let (images, labels) = self.batch(noise)?;
            let condition: Tensor<1, Int> = labels.clone().inner();
            let model = Conditioned::new(&prepared, condition.clone().into());
            let teacher = Clipped::new(Model::new(model, VPrediction), -1.0, 1.0)?;
            let target = Conditioned::new(average.average(), condition.into());
            let student = Conditioned::new(network, labels.into());
            consistency.loss_with(&student, &target, &teacher, images, noise)
        })
    }

    /// Tunes a teacher to be a consistency model of the data (ECT).
    pub(crate) fn tuned(&self, teacher: &UNet) -> Trained<UNet> {
        let steps = self.steps();
        let gap = ShrinkingGap::new((steps / 8).max(1))?;
        let tuning = Consistency::new(&self.schedule, VPrediction, gap)?.pseudo_huber(HUBER)?;
        self.train(teacher.clone().train(), steps, RATES[0], |network, noise| {
            self.agreement(&tuning, network, noise)
        })
    }

    /// Returns the training steps of a network that starts at random.
    fn long(&self) -> usize {
        self.args.training_steps.unwrap_or(1600)
    }

    /// Trains a consistency model on data alone (iCT).
    pub(crate) fn consistency_training(&self) -> Trained<(UNet, ConsistencyPrediction)> {
        let kind = ConsistencyPrediction::new(0.5, 0.002)?;
        let levels = DoublingSteps::new(self.long())?.steps(10, 80)?;
        let training = Consistency::new(Edm::default(), kind, levels)?.pseudo_huber(HUBER)?;
        let start = small_unet().init(&self.taped)?;
        let network = self.train(start, self.long(), RATES[1], |network, noise| {
            self.agreement(&training, network, noise)
        })?;
        Ok((network, kind))
    }

    /// Returns the loss of consistency training.
    fn agreement<S: NoiseSchedule, P: Parameterization, K: Discretization>(
        &self,
        training: &Consistency<S, P, K>,
        network: &UNet,
        noise: &mut StepNoise,
    ) -> Result<Tensor<1>, TrainError> {
        let (images, labels) = self.batch(noise)?;
        let target = Conditioned::new(network.valid(), labels.clone().inner().into());
        let network = Conditioned::new(network, labels.into());
        training.draw(images, noise)?.compared(&network, &target)
    }

    /// Trains a mean flow on data alone. The network has one channel more than the images, for the interval.
    pub(crate) fn mean_flow(&self) -> Trained<WithInterval<UNet>> {
        let mean_flow = MeanFlow::default();
        let wide = UNetConfig { in_channels: 2, ..small_unet() };
        let start = WithInterval::new(wide.init(&self.taped)?);
        self.train(start, self.long(), RATES[1], |network, noise| {
            let (images, labels) = self.batch(noise)?;
            let example = mean_flow.draw(images, noise)?;
            let (plain, condition) = (network.valid(), labels.clone().inner());
            let plain = from_fn(|z: Tensor<4>, r: Tensor<1>, t: Tensor<1>| {
                plain.average_velocity_with(z, r, t, condition.clone().into())
            });
            let target = mean_flow.target(&plain, &example)?;
            let taped = from_fn(|z: Tensor<4>, r: Tensor<1>, t: Tensor<1>| {
                network.average_velocity_with(z, r, t, labels.clone().into())
            });
            example.loss(mean_flow.velocity(&taped, &example)?, target)
        })
    }
}
