//! burn's learner with our strategy: an interrupted training is the one that was not.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use burn::data::dataloader::DataLoader;
use burn::data::dataset::DatasetError;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::{AdamWConfig, SgdConfig};
use burn::store::ModuleRecord;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};
use burn::train::metric::LossMetric;
use burn::train::metric::store::{Aggregate, Direction, Split};
use burn::train::{
    ExecutionStrategy, InferenceStep, Interrupter, Learner, LearningResult,
    MetricEarlyStoppingStrategy, MultiDeviceOptim, RegressionOutput, StoppingCondition,
    SupervisedTraining, TrainOutput, TrainStep,
};
use ddm_denoiser::X0Prediction;
use ddm_learner::{LossInTimes, Resumable, StepOutput, Steps};
use ddm_noise::NoiseSource;
use ddm_schedule::Cosine;
use ddm_train::{Checkpoints, Objective, StepNoise};

type Batch = (Tensor<2>, StepNoise);

/// A denoiser of points, whose dropout draws from the device's generator.
#[derive(Module, Debug)]
struct Net {
    first: Linear,
    dropout: Dropout,
    last: Linear,
}

impl Net {
    fn losses(&self, (x0, mut noise): Batch) -> StepOutput {
        let objective = Objective::new(Cosine::default(), X0Prediction).unwrap();
        let example = objective.draw(x0, &mut noise).unwrap();
        let hidden = self.dropout.forward(silu(self.first.forward(example.x_t.clone())));
        example.sample_losses(self.last.forward(hidden)).unwrap().into()
    }
}

impl TrainStep for Net {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let output = self.losses(batch);
        TrainOutput::new(self, output.losses().mean().backward(), output)
    }
}

impl InferenceStep for Net {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        self.losses(batch)
    }
}

/// All trainings seed the one generator of flex, so they take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The weights that all trainings start from.
fn start() -> Net {
    static RECORD: OnceLock<ModuleRecord> = OnceLock::new();
    let device = Device::flex().autodiff();
    let net = || Net {
        first: LinearConfig::new(2, 16).init(&device),
        dropout: DropoutConfig::new(0.1).init(),
        last: LinearConfig::new(16, 2).init(&device),
    };
    net().load_record(RECORD.get_or_init(|| net().into_record()).clone())
}

fn batch(mut noise: StepNoise, device: &Device) -> Batch {
    (noise.draw([32, 2], device) * 0.5 + 1.0, noise)
}

const EPOCH: usize = 20;

#[derive(Clone, Copy)]
struct Setting {
    epochs: usize,
    accumulation: usize,
    seed: u64,
    /// The step before which the training is interrupted.
    until: usize,
    /// Whether to stop after an epoch without an improvement.
    early: bool,
}

const WHOLE: Setting =
    Setting { epochs: 3, accumulation: 1, seed: 1, until: usize::MAX, early: false };

fn train(folder: &Path, setting: Setting) -> (LearningResult<Net>, Option<Net>) {
    let Setting { epochs, accumulation, seed, until, early } = setting;
    let device = Device::flex().autodiff();
    let interrupter = Interrupter::new();
    let stop = interrupter.clone();
    let steps = Steps::new(seed, EPOCH, &device, move |noise, device| {
        if noise.number() == until {
            stop.stop(Some("the test"));
        }
        Ok(batch(noise, device))
    });
    let valid = Steps::new(2, 2, &Device::flex(), |noise, device| Ok(batch(noise, device)));
    let checkpoints = Checkpoints::open(folder.join("checkpoints")).unwrap().every(7).unwrap();
    let resumable = Resumable::new(checkpoints, &steps, 0.9).unwrap();
    let rate = CosineAnnealingLrSchedulerConfig::new(1e-2, 3 * EPOCH).init().unwrap();
    let mut training = SupervisedTraining::new(folder, steps.into(), valid.repeating().into())
        .num_epochs(epochs)
        .grads_accumulation(accumulation)
        .metrics((LossMetric::new(),))
        .with_application_logger(None)
        .with_interrupter(interrupter)
        .with_training_strategy(resumable.strategy());
    if early {
        training = training.early_stopping(MetricEarlyStoppingStrategy::new(
            &LossMetric::new(),
            Aggregate::Mean,
            Direction::Highest, // the loss falls, so that it stops early
            Split::Valid,
            StoppingCondition::NoImprovementSince { n_epochs: 2 },
        ));
    }
    let result = training.launch(Learner::new(start(), AdamWConfig::new().init(), rate));
    (result, resumable.average())
}

fn values(net: &Net) -> Vec<f32> {
    let tensors = [
        net.first.weight.val().flatten::<1>(0, 1),
        net.first.bias.as_ref().unwrap().val(),
        net.last.weight.val().flatten::<1>(0, 1),
        net.last.bias.as_ref().unwrap().val(),
    ];
    tensors
        .into_iter()
        .flat_map(|tensor| tensor.into_data().try_into_vec::<f32>().unwrap())
        .collect()
}

fn bits(net: &Net) -> Vec<u32> {
    values(net).into_iter().map(f32::to_bits).collect()
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_bits() {
    let _turn = turn();
    for accumulation in [1, 3] {
        let whole = tempfile::tempdir().unwrap();
        let setting = Setting { accumulation, ..WHOLE };
        let (expected, expected_average) = train(whole.path(), setting);
        assert!(expected.error.is_none() && expected.interrupted.is_none());
        assert_ne!(bits(&expected.model), bits(&start()));
        for until in [1, 7, 8, 20, 21, 34, 60] {
            let folder = tempfile::tempdir().unwrap();
            let (result, _) = train(folder.path(), Setting { until, ..setting });
            assert!(result.interrupted.is_some(), "interrupted at {until}");
            let (result, average) = train(folder.path(), setting);
            assert!(result.error.is_none(), "{:?}", result.error);
            assert_eq!(bits(&result.model), bits(&expected.model), "interrupted at {until}");
            let (average, expected) = (average.unwrap(), expected_average.as_ref().unwrap());
            assert_eq!(bits(&average), bits(expected), "interrupted at {until}");
        }
    }
}

/// burn counts the epochs without an improvement anew in each run.
#[test]
fn early_stopping_remembers_the_epochs_before() {
    let _turn = turn();
    let setting = Setting { epochs: 9, early: true, ..WHOLE };
    let whole = tempfile::tempdir().unwrap();
    let (expected, _) = train(whole.path(), setting);
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), Setting { until: 2 * EPOCH + 9, ..setting });
    let (result, _) = train(folder.path(), setting);
    assert_eq!(bits(&result.model), bits(&expected.model));
    let all = tempfile::tempdir().unwrap();
    let (all, _) = train(all.path(), Setting { early: false, ..setting });
    assert_ne!(bits(&all.model), bits(&expected.model), "the training did not stop early");
}

#[test]
fn errors_end_the_training_and_name_their_cause() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), Setting { epochs: 1, ..WHOLE });
    let (other, average) = train(folder.path(), Setting { seed: 3, ..WHOLE });
    let error = other.error.expect("another seed").to_string();
    assert!(error.contains("seed 1") && error.contains("seed 3"), "{error}");
    assert!(average.is_none() && bits(&other.model) == bits(&start()));

    let device = Device::flex().autodiff();
    let steps = Steps::new(1, EPOCH, &device, |noise, device| match noise.number() {
        9 => Err(DatasetError::new(std::io::Error::other("row 5 cannot be read"))),
        _ => Ok(batch(noise, device)),
    });
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(folder.path()).unwrap().every(7).unwrap();
    let resumable = Resumable::new(checkpoints, &steps, 0.9).unwrap();
    let valid = steps.clone().repeating();
    let result = SupervisedTraining::new(folder.path(), steps.into(), valid.into())
        .with_application_logger(None)
        .with_training_strategy(resumable.strategy())
        .launch(Learner::new(start(), AdamWConfig::new().init(), 1e-3));
    let error = result.error.expect("a row that cannot be read").to_string();
    assert!(error.contains("row 5"), "{error}");
    drop(resumable);
    assert_eq!(Checkpoints::open(folder.path()).unwrap().last().unwrap().unwrap().step(), 7);
}

/// A training on data that is not finite from step 25 on: the last of its 32 samples.
#[test]
fn a_loss_that_is_not_finite_ends_the_training() {
    let _turn = turn();
    let device = Device::flex().autodiff();
    let steps = Steps::new(1, EPOCH, &device, |noise, device| {
        let bad = noise.number() >= 25;
        let (x0, noise) = batch(noise, device);
        let factor = Tensor::<2>::ones([32, 2], device);
        let last = Tensor::<2>::full([1, 2], if bad { f32::NAN } else { 1.0 }, device);
        Ok((x0 * factor.slice_assign([31..32, 0..2], last), noise))
    });
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(folder.path().join("checkpoints")).unwrap();
    let checkpoints = checkpoints.every(7).unwrap();
    let resumable = Resumable::new(checkpoints, &steps, 0.9).unwrap();
    let valid = steps.clone().repeating();
    let result = SupervisedTraining::new(folder.path(), steps.into(), valid.into())
        .num_epochs(3)
        .with_application_logger(None)
        .with_training_strategy(resumable.strategy())
        .launch(Learner::new(start(), AdamWConfig::new().init(), 1e-3));
    let error = result.error.expect("a loss that is not finite").to_string();
    for part in ["step 25 is NaN at time 0.", "the last checkpoint is", "step-00000021"] {
        assert!(error.contains(part), "{error}");
    }
    drop(resumable);
    let checkpoints = Checkpoints::open(folder.path().join("checkpoints")).unwrap();
    assert_eq!(checkpoints.last().unwrap().unwrap().step(), 21);
}

/// The bins of the metric, weighted with their numbers of samples, give the loss.
#[test]
fn the_loss_by_time_is_a_metric() {
    let _turn = turn();
    let device = Device::flex().autodiff();
    let steps = Steps::new(1, EPOCH, &device, |noise, device| Ok(batch(noise, device)));
    let valid = Steps::new(2, 2, &Device::flex(), |noise, device| Ok(batch(noise, device)));
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(folder.path().join("checkpoints")).unwrap();
    let resumable = Resumable::new(checkpoints, &steps, 0.9).unwrap();
    let mut training =
        SupervisedTraining::new(folder.path(), steps.into(), valid.repeating().into())
            .num_epochs(1)
            .metric_train_numeric(LossMetric::new())
            .with_application_logger(None)
            .with_training_strategy(resumable.strategy());
    for bin in LossInTimes::bins(3).unwrap() {
        training = training.metric_train_numeric(bin);
    }
    let result = training.launch(Learner::new(start(), AdamWConfig::new().init(), 1e-3));
    assert!(result.error.is_none(), "{:?}", result.error);
    let names = ["Loss", "Loss t 0 to 0.3333", "Loss t 0.3333 to 0.6667", "Loss t 0.6667 to 1"];
    // Each line of burn's log of a metric: the mean of a step and the number of its samples.
    let [whole, bins @ ..] = names.map(|name| logged(folder.path(), name));
    assert_eq!(whole.len(), EPOCH);
    for (step, (mean, count)) in whole.into_iter().enumerate() {
        let bins = bins.each_ref().map(|bin| bin[step]);
        let sum: f64 = bins.iter().map(|(mean, count)| mean * count).sum();
        assert_eq!((bins.iter().map(|bin| bin.1).sum::<f64>(), count), (32.0, 32.0));
        assert!((sum / 32.0 - mean).abs() < 1e-5 * mean, "step {step}: {bins:?}, {mean}");
    }
}

/// The means and the counts of a metric in burn's log of the first epoch.
fn logged(folder: &Path, name: &str) -> Vec<(f64, f64)> {
    let path = folder.join("train/epoch-1").join(format!("{}.log", name.replace(' ', "_")));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let pair = |line: &str| match line.split_once(',') {
        Some((mean, count)) => (mean.parse().unwrap(), count.parse().unwrap()),
        None => (0.0, 0.0), // N/A: no sample in the bin
    };
    text.lines().filter(|line| !line.ends_with("final")).map(pair).collect()
}

/// A network whose gradient is 1.
#[derive(Module, Debug)]
struct Slope {
    weight: Param<Tensor<1>>,
}

impl TrainStep for Slope {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, (x0, _): Batch) -> TrainOutput<RegressionOutput> {
        let loss = self.weight.val();
        TrainOutput::new(self, loss.backward(), RegressionOutput::new(loss, x0.clone(), x0))
    }
}

impl InferenceStep for Slope {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, (x0, _): Batch) -> RegressionOutput {
        RegressionOutput::new(self.weight.val(), x0.clone(), x0)
    }
}

/// Which docs/several-devices.md says: burn adds the gradients of devices.
#[test]
fn steps_are_data_of_burns_strategy_for_several_devices() {
    let _turn = turn();
    let (folder, device) = (tempfile::tempdir().unwrap(), Device::flex().autodiff());
    let steps = Steps::new(1, 6, &device, |noise, device| Ok(batch(noise, device)));
    let valid = Steps::new(2, 1, &Device::flex(), |noise, device| Ok(batch(noise, device)));
    let devices = vec![device.clone(), device.clone()];
    let strategy = ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimMainDevice);
    let slope = Slope { weight: Param::from_tensor(Tensor::zeros([1], &device)) };
    let result = SupervisedTraining::new(folder.path(), steps.into(), valid.repeating().into())
        .num_epochs(1)
        .metrics((LossMetric::new(),))
        .with_application_logger(None)
        .with_training_strategy(strategy.into())
        .launch(Learner::new(slope, SgdConfig::new().init(), 0.1));
    assert!(result.error.is_none(), "{:?}", result.error);
    // Three steps of two devices.
    let weight: f32 = result.model.weight.val().inner().into_scalar();
    assert!((weight + 0.6).abs() < 1e-6, "{weight}");
}

/// The steps of a loader, by the first number of each batch.
fn first_numbers(steps: &dyn DataLoader<Batch>) -> Vec<f32> {
    let batches = steps.iter().map(|batch| batch.unwrap().0.into_data());
    batches.map(|data| data.as_slice::<f32>().unwrap()[0]).collect()
}

#[test]
fn a_batch_is_a_function_of_seed_and_step() {
    let loader =
        |seed| Steps::new(seed, 6, &Device::flex(), |noise, device| Ok(batch(noise, device)));
    let steps = loader(1);
    let (first, second) = (first_numbers(&steps), first_numbers(&steps));
    assert_eq!((first.len(), second.len(), steps.position()), (6, 6, 12));
    assert!(first.iter().all(|number| !second.contains(number)));
    steps.seek(8);
    assert_eq!(first_numbers(&steps), second[2..]);
    assert_ne!(first_numbers(&loader(2)), first);

    let same = loader(1).repeating();
    assert_eq!([first_numbers(&same), first_numbers(&same)], [first.clone(), first.clone()]);

    // Two devices share the steps of each epoch.
    let halves: [Arc<dyn DataLoader<Batch>>; 2] = [loader(1).slice(0, 4), loader(1).slice(4, 9)];
    for epoch in [first, second] {
        let [one, other] = halves.each_ref().map(|half| first_numbers(&**half));
        assert_eq!([one, other].concat(), epoch);
    }
    assert_eq!(halves.each_ref().map(|half| half.num_items()), [4, 2]);
}
