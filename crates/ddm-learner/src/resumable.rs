//! A learning strategy that can be resumed at any step.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::ModuleDisplay;
use burn::optim::GradientsAccumulator;
use burn::train::checkpoint::CheckpointerError;
use burn::train::{
    EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, LearnerModel,
    SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainStep,
    TrainingComponents, TrainingError, TrainingItem, TrainingStrategy, ValidLoader,
};
use ddm_train::{Checkpoints, Decay, Ema, StepNoise, TrainError};

use crate::records::Records;
use crate::watch::Watch;
use crate::{StepOutput, Steps};

/// A strategy of burn's learner that can be resumed at any step: checkpoints, moving average, and data
/// and noise by the seed and the step.
///
/// Metrics, the dashboard, early stopping, accumulation and clipping of gradients, and learning rates are
/// burn's. Give burn the [`Steps`] that are given here as its training data, and no checkpointers:
///
/// ```no_run
/// # use burn::data::dataset::DatasetError;
/// # use burn::optim::AdamWConfig;
/// # use burn::tensor::Device;
/// # use burn::train::{InferenceStep, Learner, LearnerModel, SupervisedTraining, TrainStep};
/// # use burn::module::ModuleDisplay;
/// # use ddm_learner::{Resumable, Steps};
/// # use ddm_train::{Checkpoints, StepNoise};
/// # fn train<M, B>(
/// #     network: M,
/// #     batch: impl Fn(StepNoise, &Device) -> Result<B, DatasetError> + Copy + Send + Sync + 'static,
/// # ) -> Result<(), Box<dyn std::error::Error>>
/// # where
/// #     M: LearnerModel + ModuleDisplay + TrainStep<Input = B> + InferenceStep<Input = B> + Sync,
/// #     B: Send + 'static,
/// # {
/// let device = Device::flex().autodiff();
/// let steps = Steps::new(1, 500, &device, batch); // the seed, and 500 steps an epoch
/// let valid = Steps::new(2, 20, &device, batch).repeating();
/// let checkpoints = Checkpoints::open("run/checkpoints")?.every(100)?;
/// let resumable = Resumable::new(checkpoints, &steps, 0.999)?;
/// let learner = Learner::new(network, AdamWConfig::new().init(), 1e-3);
/// let result = SupervisedTraining::new("run", steps.into(), valid.into())
///     .num_epochs(40)
///     .with_training_strategy(resumable.strategy())
///     .launch(learner);
/// if let Some(error) = result.error {
///     return Err(error.to_string().into());
/// }
/// let average = resumable.average().expect("the training came to its end");
/// # Ok(())
/// # }
/// ```
///
/// A training that was killed goes on from its last checkpoint by the same program; on burn's flex to the
/// same bits. The early stopping is shown the epochs before again, from the metrics in the log. What burn
/// shows of an epoch that was interrupted is of its steps since.
///
/// Where a step's output is a [`StepOutput`], the training stops at a loss that is not finite: the error
/// has the step, the times of the losses and the last checkpoint. Weights that are not finite are never
/// saved.
///
/// The device is that of the network; for gradient checkpointing, make it on
/// `device.autodiff().gradient_checkpointing()`.
#[derive(Debug)]
pub struct Resumable<M, I, D = f64> {
    shared: Arc<Shared<M, I, D>>,
}

#[derive(Debug)]
struct Shared<M, I, D> {
    checkpoints: Checkpoints,
    steps: Steps<I>,
    decay: D,
    average: Mutex<Option<M>>,
}

impl<M, I, D> Clone for Resumable<M, I, D> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<M, I, D> Resumable<M, I, D>
where
    M: LearnerModel + ModuleDisplay + TrainStep<Input = I> + Sync,
    I: Send + 'static,
    D: Decay + Clone + 'static,
{
    /// Creates a strategy that saves to `checkpoints` and takes the data of `steps`; `decay` is that of
    /// the moving average.
    ///
    /// # Errors
    ///
    /// Returns an error if the decay is out of range.
    pub fn new(checkpoints: Checkpoints, steps: &Steps<I>, decay: D) -> Result<Self, TrainError> {
        decay.check()?;
        let (steps, average) = (steps.clone(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { checkpoints, steps, decay, average }) })
    }

    /// Returns it as burn's learner takes it.
    pub fn strategy(&self) -> TrainingStrategy<M> {
        TrainingStrategy::Custom(Arc::new(self.clone()))
    }

    /// Returns the moving average after the training, for sampling; `None` before its end, and if it
    /// could not start.
    pub fn average(&self) -> Option<M> {
        self.shared.average.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the state of the last checkpoint, and goes to its step.
    fn start(&self, learner: &mut Learner<M>) -> Result<Ema<M, D>, TrainError> {
        let Shared { checkpoints, steps, decay, .. } = &*self.shared;
        let Some(saved) = checkpoints.last()? else {
            steps.seek(0);
            return Ema::new(&learner.model(), decay.clone());
        };
        steps.seek(saved.step());
        checkpoints.restore(&saved)?;
        Records::restore(&saved, steps.seed(), learner, decay.clone())
    }

    /// Takes the steps that are left of an epoch.
    fn train_epoch(
        &self,
        run: &mut Run<M, D>,
        data: &TrainLoader<M>,
        accumulation: usize,
        processor: &mut SupervisedTrainingEventProcessor<M>,
        interrupter: &Interrupter,
    ) -> Result<(), TrainingError> {
        let Shared { checkpoints, steps, .. } = &*self.shared;
        let mut accumulator = GradientsAccumulator::new();
        let (mut accumulated, mut due) = (0, false);
        let devices = run.learner.model().devices();
        let mut batches = data.iter();
        let mut watch = Watch::new(checkpoints);
        loop {
            let step = steps.position() + 1;
            StepNoise::new(steps.seed(), step).seed_devices(&devices);
            let Some(batch) = batches.next() else { return Ok(()) };
            let progress = batches.progress();
            let output = run.learner.train_step(batch?);
            if let Some(output) = (&output.item as &dyn Any).downcast_ref::<StepOutput>() {
                watch.add(step, output.losses().clone());
            }
            accumulator.accumulate(&run.learner.model(), output.grads);
            accumulated += 1;
            due |= checkpoints.is_due(step);
            if due || progress.is_completed() || watch.is_full() {
                watch.check()?;
            }
            if accumulated == accumulation || progress.is_completed() {
                run.learner.lr_step();
                run.learner.optimizer_step(accumulator.grads());
                run.ema.update(&run.learner.model()).map_err(failure)?;
                accumulated = 0;
                if due {
                    let save =
                        run.records.save(checkpoints, step, steps.seed(), &run.learner, &run.ema);
                    save.map_err(failure)?;
                    due = false;
                }
            }
            let rate = Some(run.learner.lr_current());
            let item = TrainingItem::new(output.item, progress, Some(step), rate);
            processor.process_train(LearnerEvent::ProcessedItem(item))?;
            if interrupter.should_stop() {
                return Ok(());
            }
        }
    }

    /// Measures the network on the validation data.
    fn valid_epoch(
        run: &Run<M, D>,
        data: &ValidLoader<M>,
        processor: &mut SupervisedTrainingEventProcessor<M>,
        interrupter: &Interrupter,
    ) -> Result<(), TrainingError> {
        let network = run.learner.model().valid();
        let mut batches = data.iter();
        for number in 1.. {
            let Some(batch) = batches.next() else { break };
            let (output, progress) = (InferenceStep::step(&network, batch?), batches.progress());
            let item = TrainingItem::new(output, progress, Some(number), None);
            processor.process_valid(LearnerEvent::ProcessedItem(item))?;
            if interrupter.should_stop() {
                break;
            }
        }
        Ok(())
    }

    /// Runs the epochs that are left.
    fn epochs(
        &self,
        run: &mut Run<M, D>,
        (train, valid): (&TrainLoader<M>, &ValidLoader<M>),
        components: &mut TrainingComponents<M>,
    ) -> Result<(), TrainingError> {
        let TrainingComponents {
            num_epochs,
            grad_accumulation,
            interrupter,
            early_stopping,
            event_processor: processor,
            event_store: store,
            ..
        } = components;
        let first = self.shared.steps.position() / self.shared.steps.epoch() + 1;
        if let Some(early_stopping) = early_stopping {
            // It counts epochs without an improvement, and has not seen those of the run before.
            for epoch in 1..first {
                early_stopping.should_stop(epoch, store);
            }
        }
        for epoch in first..=*num_epochs {
            let start = |total_items| LearnerEvent::StartSplit { epoch_number: epoch, total_items };
            processor.process_train(start(train.num_items()))?;
            let accumulation = grad_accumulation.unwrap_or(1);
            self.train_epoch(run, train, accumulation, processor, interrupter)?;
            processor.process_train(LearnerEvent::EndSplit(epoch))?;
            if interrupter.should_stop() {
                break;
            }
            let start = |total_items| LearnerEvent::StartSplit { epoch_number: epoch, total_items };
            processor.process_valid(start(valid.num_items()))?;
            Self::valid_epoch(run, valid, processor, interrupter)?;
            processor.process_valid(LearnerEvent::EndSplit(epoch))?;
            processor.process_train(LearnerEvent::EndEpoch(epoch))?;
            processor.flush()?;
            if interrupter.should_stop() {
                break;
            }
            if let Some(early_stopping) = early_stopping
                && early_stopping.should_stop(epoch, store)
            {
                break;
            }
        }
        Ok(())
    }
}

impl<M, I, D> SupervisedLearningStrategy<M> for Resumable<M, I, D>
where
    M: LearnerModel + ModuleDisplay + TrainStep<Input = I> + Sync,
    I: Send + 'static,
    D: Decay + Clone + 'static,
{
    fn fit(
        &self,
        mut components: TrainingComponents<M>,
        mut learner: Learner<M>,
        train: TrainLoader<M>,
        valid: ValidLoader<M>,
        _: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        let ema = match self.start(&mut learner) {
            Ok(ema) => ema,
            Err(error) => {
                components.interrupter.fail(failure(error));
                return (learner.model(), components.event_processor);
            }
        };
        let records = Records::new(components.event_store.clone());
        let mut run = Run { learner, ema, records };
        let done = self.epochs(&mut run, (&train, &valid), &mut components);
        components.interrupter.fail_on_error(done);
        let mut average = self.shared.average.lock().unwrap_or_else(PoisonError::into_inner);
        *average = Some(run.ema.into_average());
        (run.learner.model(), components.event_processor)
    }
}

/// What changes from step to step.
struct Run<M: LearnerModel, D> {
    learner: Learner<M>,
    ema: Ema<M, D>,
    records: Records<M>,
}

/// Returns an error of ours as one of burn's.
fn failure(error: TrainError) -> TrainingError {
    CheckpointerError::Unknown(error.to_string()).into()
}
