//! Checkpoints: a training that is interrupted, however, is the training that is not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::AdamWConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::store::ModuleRecord;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};
use ddm_denoiser::X0Prediction;
use ddm_noise::{HostNoise, NoiseSource};
use ddm_schedule::Cosine;
use ddm_train::{
    CheckpointError, Checkpoints, Ema, LossHistory, Objective, PowerDecay, StepNoise, Stopped,
    TrainError, Trained, Training,
};

/// A network whose dropout draws from the device's generator.
#[derive(Module, Debug)]
struct Net {
    first: Linear,
    dropout: Dropout,
    last: Linear,
}

impl Net {
    fn new(width: usize) -> Self {
        let device = Device::flex().autodiff();
        Self {
            first: LinearConfig::new(2, width).init(&device),
            dropout: DropoutConfig::new(0.1).init(),
            last: LinearConfig::new(width, 2).init(&device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.last.forward(self.dropout.forward(silu(self.first.forward(x))))
    }
}

const STEPS: usize = 300;
const EVERY: usize = 7;

/// Trains in a folder, with an optimizer, a learning rate, an average, a distribution of times and a second
/// network that all have a state.
fn train(
    folder: &Path,
    network: Net,
    steps: usize,
    report: impl FnMut(usize),
) -> Result<Trained<Net>, Stopped<Net>> {
    let checkpoints = Checkpoints::open(folder).unwrap().every(EVERY).unwrap();
    train_with(checkpoints, network, steps, 1, report)
}

fn train_with(
    checkpoints: Checkpoints,
    network: Net,
    steps: usize,
    seed: u64,
    mut report: impl FnMut(usize),
) -> Result<Trained<Net>, Stopped<Net>> {
    let device = Device::flex().autodiff();
    let history = LossHistory::new(4).unwrap();
    let slow = Arc::new(Mutex::new(Ema::new(&network, 0.9).unwrap()));
    let checkpoints = checkpoints.with("history.csv", history.clone());
    let checkpoints = checkpoints.with("slow.bpk", Arc::clone(&slow));
    let objective = Objective::new(Cosine::default(), X0Prediction).unwrap();
    let objective = objective.time_sampling(history.clone());
    let clipping = GradientClippingConfig::Norm(1.0);
    let adam = AdamWConfig::new().with_grad_clipping(Some(clipping)).init();
    let rate = CosineAnnealingLrSchedulerConfig::new(1e-2, STEPS).init().unwrap();
    let training = Training { steps, ema_decay: PowerDecay::from_width(0.1).unwrap(), seed };
    let loss = |network: &Net, noise: &mut StepNoise| {
        let x0 = noise.draw([64, 2], &device) * 0.5 + 1.0;
        let example = objective.draw(x0, noise)?;
        let found = network.forward(example.x_t.clone());
        history.record(&example, example.losses(found.clone())?)?;
        let mut slow = slow.lock().unwrap();
        slow.update(network)?;
        let behind = slow.average().forward(example.x_t.clone().inner());
        let apart = found.clone() - behind.autodiff();
        Ok(example.loss(found)? + apart.square().mean() * 0.1)
    };
    training.resume(&checkpoints, network, adam, rate, loss, |at| report(at.step))
}

/// Returns all that the last checkpoint has: of its records the tensors and numbers by their names, since
/// burn writes those of an optimizer in no fixed order.
fn last(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let checkpoints = Checkpoints::open(folder).unwrap();
    let last = checkpoints.last().unwrap().expect("a checkpoint");
    let mut content = BTreeMap::new();
    for file in fs::read_dir(last.directory()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".bpk") {
            let record = burn_pack::Reader::from_file(&path).unwrap();
            for tensor in record.tensor_names() {
                let data = record.tensor_data(tensor).unwrap();
                content.insert(format!("{name}/{tensor}"), data);
            }
            let numbers = format!("{:?} {:?}", record.scalars(), record.metadata());
            content.insert(format!("{name}/numbers"), numbers.into_bytes());
        } else if name != "manifest.json" {
            content.insert(name.to_owned(), fs::read(&path).unwrap());
        }
    }
    content
}

const FOLDER: &str = "DDM_TRAIN_IN";

/// A whole training; or what is left of it, in the folder that the test of kills names.
#[test]
fn a_training_runs_to_its_end() {
    let own = tempfile::tempdir().unwrap();
    let named = std::env::var_os(FOLDER).map(std::path::PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| own.path().to_owned());
    let width = std::env::var("DDM_WIDTH").map_or(64, |width| width.parse().unwrap());
    let mut network = Net::new(width);
    if named.is_some() {
        // All runs of the test start from the same weights.
        network = network.load_record(ModuleRecord::load(folder.join("start.bpk")).unwrap());
    }
    let mut first = None;
    let trained = train(&folder, network, STEPS, |step| {
        first.get_or_insert(step);
        if named.is_some() {
            println!("at {step}");
        }
    });
    let trained = trained.unwrap_or_else(|stopped| panic!("{stopped}"));
    assert_eq!(trained.losses.last().unwrap().0, STEPS);
    assert!(trained.losses.last().unwrap().1 < 0.5 * trained.losses[0].1, "{:?}", trained.losses);
}

/// Adds what runs the training above.
fn this_test(mut command: Command, folder: &Path) -> Command {
    command.args(["--exact", "a_training_runs_to_its_end", "--nocapture"]).env(FOLDER, folder);
    command
}

/// Runs the training above in a process of its own, and kills it after a time. Returns the steps that
/// it reported, and whether it came to its end.
fn run(folder: &Path, kill_after: Option<Duration>) -> (Vec<usize>, bool) {
    let log = folder.join("log");
    let mut child = this_test(Command::new(std::env::current_exe().unwrap()), folder)
        .stdout(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    if let Some(time) = kill_after {
        std::thread::sleep(time);
        child.kill().unwrap(); // SIGKILL
    }
    let done = child.wait().unwrap().success();
    let log = fs::read_to_string(&log).unwrap();
    let steps = log.lines().filter_map(|line| line.strip_prefix("at ")?.parse().ok());
    (steps.collect(), done)
}

/// Returns the step of the last checkpoint that has its name, 0 without any.
fn saved_step(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let steps = names.filter_map(|name| name.to_str()?.strip_prefix("step-")?.parse().ok());
    steps.max().unwrap_or(0)
}

/// `DDM_KILLS` sets how often, by default 20 times.
#[test]
fn a_killed_training_goes_on_to_the_same_bits() {
    let kills = std::env::var("DDM_KILLS").map_or(20, |kills| kills.parse().expect("a number"));
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed of the times {seed}");
    let mut times = HostNoise::new(seed);
    let whole = tempfile::tempdir().unwrap();
    Net::new(64).into_record().save(whole.path().join("start.bpk")).unwrap();
    let begin = Instant::now();
    assert!(run(whole.path(), None).1);
    let (takes, expected) = (begin.elapsed(), last(whole.path()));

    let (mut killed, mut trainings) = (0, 0);
    while killed < kills {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(whole.path().join("start.bpk"), folder.path().join("start.bpk")).unwrap();
        let mut reported = 0;
        loop {
            let time = takes.mul_f64(0.4 * times.uniform(1)[0]);
            let saved = saved_step(folder.path());
            assert!(saved >= reported, "{reported} was reported, and {saved} is saved");
            let (steps, done) = run(folder.path(), (killed < kills).then_some(time));
            if let Some(&first) = steps.first() {
                // No step is lost but those after the last checkpoint.
                assert!(first > saved && first <= saved + EVERY, "{first} after {saved}");
            }
            let due = steps.iter().copied().filter(|step| step % EVERY == 0);
            reported = due.max().unwrap_or(reported);
            if done {
                break;
            }
            killed += 1;
        }
        for (name, content) in last(folder.path()) {
            assert!(content == expected[&name], "{name} differs; seed of the times {seed}");
        }
        trainings += 1;
    }
    println!("{killed} kills in {trainings} trainings");
}

/// Saves checkpoints of some steps of a small training: 7, 14, …
fn saved(folder: &Path, steps: usize) -> Net {
    train(folder, Net::new(8), steps, |_| ()).unwrap().network
}

/// Keeps the warnings of the log of each thread.
struct Log;

thread_local! { static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) } }

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.level() == log::Level::Warn {
            WARNINGS.with_borrow_mut(|warnings| warnings.push(record.args().to_string()));
        }
    }
    fn flush(&self) {}
}

#[test]
fn a_damaged_checkpoint_is_put_aside_for_the_one_before() {
    let _ = log::set_logger(&Log).map(|()| log::set_max_level(log::LevelFilter::Warn));
    type Damage = fn(&Path);
    let damage: [(&str, Damage); 5] = [
        ("network.bpk has another hash", |last| {
            let path = last.join("network.bpk");
            let mut content = fs::read(&path).unwrap();
            *content.last_mut().unwrap() ^= 1;
            fs::write(path, content).unwrap();
        }),
        ("optimizer.bpk has 100 bytes", |last| {
            File::options()
                .write(true)
                .open(last.join("optimizer.bpk"))
                .unwrap()
                .set_len(100)
                .unwrap();
        }),
        ("average.bpk cannot be read", |last| fs::remove_file(last.join("average.bpk")).unwrap()),
        ("manifest.json cannot be read", |last| {
            fs::remove_file(last.join("manifest.json")).unwrap();
        }),
        ("manifest.json is not valid", |last| fs::write(last.join("manifest.json"), "{").unwrap()),
    ];
    for (reason, damage) in damage {
        let folder = tempfile::tempdir().unwrap();
        saved(folder.path(), 21);
        damage(&folder.path().join("step-00000021"));
        let checkpoints = Checkpoints::open(folder.path()).unwrap();
        assert_eq!(checkpoints.last().unwrap().unwrap().step(), 14, "{reason}");
        let warnings = WARNINGS.take();
        assert!(matches!(&warnings[..], [one] if one.contains(reason)), "{warnings:?}");
        assert!(folder.path().join("step-00000021.damaged").is_dir());
        // The training goes on, and saves that step again.
        drop(checkpoints);
        let trained = train(folder.path(), Net::new(8), 21, |_| ()).unwrap();
        assert_eq!(trained.losses.last().unwrap().0, 21);
        assert!(folder.path().join("step-00000021").is_dir());
    }
}

/// The loss of step 14 is finite, 0, and its gradient is not, that of √0.
#[test]
fn weights_that_are_not_finite_are_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(folder.path()).unwrap().every(EVERY).unwrap();
    let device = Device::flex().autodiff();
    let training = Training { steps: 30, ema_decay: 0.9, seed: 1 };
    let loss = |network: &Net, noise: &mut StepNoise| {
        let found = network.forward(noise.draw([8, 2], &device)).square();
        Ok(match noise.number() {
            14 => (found * 0.0).sqrt().mean(),
            _ => found.mean(),
        })
    };
    let adam = AdamWConfig::new().init();
    let stopped = training.resume(&checkpoints, Net::new(8), adam, 1e-3, loss, |_| ());
    let stopped = stopped.unwrap_err();
    let TrainError::Checkpoint(CheckpointError::NotFinite { step, file, parameter }) =
        &stopped.error
    else {
        panic!("{stopped}")
    };
    assert_eq!((*step, file.as_str()), (14, "network.bpk"));
    assert!(["first.", "last."].iter().any(|part| parameter.starts_with(part)), "{parameter}");
    assert!(stopped.to_string().contains("step-00000007"), "{stopped}");
    assert_eq!(checkpoints.last().unwrap().unwrap().step(), 7);
}

#[test]
fn where_no_checkpoint_is_whole_no_training_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path(), 14);
    for step in ["step-00000007", "step-00000014"] {
        fs::write(folder.path().join(step).join("losses.csv"), "step,loss\n").unwrap();
    }
    let stopped = train(folder.path(), Net::new(8), 21, |_| ()).unwrap_err();
    let expected = CheckpointError::NoneWhole { directory: folder.path().to_owned() };
    assert_eq!(stopped.error, TrainError::Checkpoint(expected));
}

#[test]
fn two_runs_in_one_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Checkpoints::open(folder.path()).unwrap();
    let second = Checkpoints::open(folder.path()).unwrap_err();
    assert_eq!(second, CheckpointError::Locked { directory: folder.path().to_owned() });
    drop(first);
    Checkpoints::open(folder.path()).unwrap();
}

#[test]
fn another_training_does_not_continue() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path(), 14);
    let other = train(folder.path(), Net::new(9), 21, |_| ()).unwrap_err();
    let TrainError::Checkpoint(CheckpointError::Record { file, .. }) = &other.error else {
        panic!("{other}")
    };
    assert_eq!(file, "network.bpk");
    assert!(other.to_string().contains("last checkpoint is"), "{other}");
    let checkpoints = Checkpoints::open(folder.path()).unwrap().every(EVERY).unwrap();
    let seed = train_with(checkpoints, Net::new(8), 21, 2, |_| ()).unwrap_err();
    assert!(
        matches!(
            seed.error,
            TrainError::Checkpoint(CheckpointError::Seed { found: 1, expected: 2, .. })
        ),
        "{seed}"
    );
    // A history of other bins.
    let checkpoints = Checkpoints::open(folder.path()).unwrap();
    let saved = checkpoints.last().unwrap().unwrap();
    let checkpoints = checkpoints.with("history.csv", LossHistory::new(5).unwrap());
    let bins = checkpoints.restore(&saved).unwrap_err().to_string();
    assert!(bins.contains("history.csv") && bins.contains("it has 4 bins"), "{bins}");
    // A loop that does not look for the last checkpoint cannot hide it.
    let early = checkpoints.save(7, |_| Ok::<_, CheckpointError>(())).unwrap_err();
    assert!(matches!(early, CheckpointError::NotLater { step: 7, last: 14, .. }), "{early}");
}

#[test]
fn the_last_are_kept_and_remains_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let list = || {
        let names = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    saved(folder.path(), 30);
    assert_eq!(list(), ["lock", "step-00000028", "step-00000030"]);
    for remains in ["step-00000035.new", "step-00000021.old"] {
        fs::create_dir(folder.path().join(remains)).unwrap();
        fs::write(folder.path().join(remains).join("network.bpk"), "torn").unwrap();
    }
    drop(Checkpoints::open(folder.path()).unwrap());
    assert_eq!(list(), ["lock", "step-00000028", "step-00000030"]);
    let checkpoints = Checkpoints::open(folder.path()).unwrap();
    assert!(checkpoints.every(0).unwrap_err().to_string().contains("at least 1"));
    let checkpoints = Checkpoints::open(folder.path()).unwrap();
    assert!(checkpoints.keep(1).unwrap_err().to_string().contains("at least 2"));
}

/// The shell limits the size of a file, and the error of the system comes as it does from a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_training_and_leaves_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let start = folder.path().join("start.bpk");
    Net::new(2000).into_record().save(&start).unwrap();
    let net = Net::new(2000).load_record(ModuleRecord::load(&start).unwrap());
    train(folder.path(), net, 14, |_| ()).unwrap();
    let before = last(folder.path());
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""]);
    shell.arg(std::env::current_exe().unwrap());
    let output = this_test(shell, folder.path()).env("DDM_WIDTH", "2000").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("cannot write"), "{error}");
    assert!(error.contains("step-00000014"), "the last checkpoint is not named: {error}");
    assert!(last(folder.path()) == before);
}
