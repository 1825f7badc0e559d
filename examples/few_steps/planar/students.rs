//! The teacher, and five ways to a network of a few steps.

use std::cell::RefCell;
use std::error::Error;

use ddm_core::burn::module::Module;
use ddm_core::denoiser::{ConsistencyPrediction, WithInterval};
use ddm_core::models::Mlp;
use ddm_core::prelude::*;
use ddm_core::schedule::{Edm, Levels};
use ddm_core::train::{Consistency, DoublingSteps, Ema, FixedSteps, MeanFlow, ShrinkingGap};

use super::lab::Lab;
use crate::rounds::halve;

/// The learning rate of students that start with their teacher's weights.
const RATE: f64 = 1e-3;
/// The levels of consistency distillation.
const LEVELS: usize = 32;
/// The mean and std of ln σ in consistency training. The data has twice the std that the defaults are for.
const LOG_NORMAL: (f64, f64) = (-0.4, 2.0);

type Trained<T> = Result<T, Box<dyn Error>>;

/// The network, for points of two coordinates and of three.
fn network() -> MlpConfig {
    MlpConfig::new().with_frequencies(6)
}

impl Lab {
    /// Trains the teacher, a network of v.
    pub(crate) fn teacher(&self) -> Trained<Mlp> {
        let objective = Objective::new(&self.schedule, VPrediction)?;
        self.train(network().init(&self.taped)?, self.long, 2e-3, |network, noise| {
            objective.loss(network, self.batch(noise), noise)
        })
    }

    /// Halves the steps of a teacher, which starts with `first`, until one is left.
    pub(crate) fn progressive(&self, teacher: &Mlp, first: usize) -> Trained<Vec<(Levels, Mlp)>> {
        let steps = self.steps.div_ceil(2);
        halve(teacher, &self.schedule, first, |halving, teacher| {
            let model = Model::new(teacher, VPrediction);
            self.train(teacher.clone().train(), steps, RATE, |network, noise| {
                halving.loss(network, &model, self.batch(noise), noise)
            })
        })
    }

    /// Distils a teacher into a consistency model. The target network is an average of the student's weights.
    pub(crate) fn distilled(&self, teacher: &Mlp) -> Trained<Mlp> {
        let consistency = Consistency::new(&self.schedule, VPrediction, FixedSteps::new(LEVELS)?)?;
        let consistency = consistency.second_order();
        let (start, model) = (teacher.clone().train(), Model::new(teacher, VPrediction));
        let average = RefCell::new(Ema::new(&start, 0.95)?);
        self.train(start, self.steps, RATE, |network, noise| {
            let mut average = average.borrow_mut();
            average.update(network)?;
            consistency.loss_with(network, average.average(), &model, self.batch(noise), noise)
        })
    }

    /// Tunes a teacher to be a consistency model of the data (ECT).
    pub(crate) fn tuned(&self, teacher: &Mlp) -> Trained<Mlp> {
        let gap = ShrinkingGap::new((self.steps / 8).max(1))?;
        let gap = gap.log_normal(LOG_NORMAL.0, LOG_NORMAL.1)?;
        let tuning = Consistency::new(&self.schedule, VPrediction, gap)?;
        self.train(teacher.clone().train(), self.steps, RATE, |network, noise| {
            tuning.loss(network, self.batch(noise), noise)
        })
    }

    /// Trains a consistency model on data alone (iCT).
    pub(crate) fn consistency_training(&self) -> Trained<(Mlp, ConsistencyPrediction)> {
        let kind = ConsistencyPrediction::new(1.0, 0.002)?;
        let levels = DoublingSteps::new(self.long)?.steps(10, 160)?;
        let levels = levels.log_normal(LOG_NORMAL.0, LOG_NORMAL.1)?;
        let training = Consistency::new(Edm::default(), kind, levels)?;
        let start = network().init(&self.taped)?;
        let network = self.train(start, self.long, 1e-3, |network, noise| {
            training.loss(network, self.batch(noise), noise)
        })?;
        Ok((network, kind))
    }

    /// Trains a mean flow on data alone. The network has a third coordinate, for the interval.
    pub(crate) fn mean_flow(&self) -> Trained<WithInterval<Mlp>> {
        // In the plane errors differ a lot from sample to sample: the adaptive weight would move the mean.
        let mean_flow = MeanFlow::default().power(0.0)?;
        let start = WithInterval::new(network().with_dim(3).init(&self.taped)?);
        self.train(start, self.long, 2e-3, |network, noise| {
            mean_flow.loss(network, self.batch(noise), noise)
        })
    }
}
