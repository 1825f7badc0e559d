//! Training on several machines: two servers of this one, in processes of their own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ddm_core::burn;
use ddm_core::burn::module::Module;
use ddm_core::burn::nn::{Linear, LinearConfig};
use ddm_core::burn::optim::{AdamWConfig, SgdConfig};
use ddm_core::burn::remote::RemoteHost;
use ddm_core::burn::server::{RemoteServer, WebSocketTransport};
use ddm_core::models::{Mlp, MlpConfig};
use ddm_core::prelude::*;
use ddm_core::train::{Checkpoints, Stopped, TrainError, Trained};

const SERVER: &str = "DDM_SERVER";

/// A server, in the processes that the other tests start.
#[test]
fn a_machine_serves_its_device() {
    if std::env::var_os(SERVER).is_none() {
        return;
    }
    // It ends with the test that started it, whatever becomes of that.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("\nport {}", listener.local_addr().unwrap().port());
    std::io::stdout().flush().unwrap();
    RemoteServer::new([Device::flex()]).serve(WebSocketTransport::from_listener(listener)).unwrap();
}

/// A "machine": a process that serves flex.
struct Machine {
    process: Child,
    device: Device,
}

impl Machine {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_machine_serves_its_device", "--nocapture"])
            .env(SERVER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port =
            lines.by_ref().find_map(|line| line.unwrap().strip_prefix("port ")?.parse().ok());
        let port: u16 = port.expect("the server says its port");
        // Somebody must read what it says further on.
        std::thread::spawn(move || lines.for_each(drop));
        let host = RemoteHost::websocket(&format!("ws://127.0.0.1:{port}"));
        let device = Device::remote_options(&host).init().unwrap();
        Self { process, device }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const BATCH: usize = 64;
const STEPS: usize = 40;

fn network(hidden: usize) -> Mlp {
    MlpConfig::new().with_hidden(hidden).init(&Device::flex().autodiff()).unwrap()
}

/// Trains in a folder, with a checkpoint and a report every `every` steps.
fn train(
    network: Mlp,
    devices: &[Device],
    folder: &Path,
    every: usize,
    mut report: impl FnMut(usize),
) -> Result<Trained<Mlp>, Stopped<Mlp>> {
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let batch = BATCH / devices.len().max(1);
    let loss = |network: &Mlp, noise: &mut StepNoise| {
        let x0 = noise.draw([batch, 2], &network.devices()[0]) * 0.5 + 1.0;
        objective.loss(network, x0, noise)
    };
    let training = Training { steps: STEPS, ema_decay: 0.9, seed: 5 };
    let checkpoints = Checkpoints::open(folder).unwrap().every(every).unwrap();
    let adam = AdamWConfig::new().init();
    training.on(devices).resume(&checkpoints, network, adam, 1e-3, loss, |at| report(at.step))
}

fn values(network: &Mlp) -> Vec<f32> {
    struct Collect(Vec<f32>);
    impl burn::module::ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().try_into_vec::<f32>().unwrap());
        }
    }
    let mut collect = Collect(Vec::new());
    network.visit(&mut collect);
    collect.0
}

fn same(what: &str, found: &Trained<Mlp>, expected: &Trained<Mlp>) {
    let mut largest = 0.0_f64;
    assert_eq!(found.losses.len(), expected.losses.len());
    for ((step, found), (_, expected)) in found.losses.iter().zip(&expected.losses) {
        let error = (found / expected - 1.0).abs();
        assert!(error < 1e-4, "{what}, step {step}: {found} for {expected}");
        largest = largest.max(error);
    }
    let differences = values(&found.network).into_iter().zip(values(&expected.network));
    let weights = differences.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: losses to {largest:.1e}, weights to {weights:.1e}");
    assert!(weights < 1e-4, "{what}: weights to {weights}");
}

/// Fails if this takes much longer than it does when it works.
fn in_time<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(run()));
    match receiver.recv_timeout(Duration::from_secs(120)) {
        Ok(value) => value,
        Err(RecvTimeoutError::Disconnected) => panic!("it panicked"),
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
    }
}

#[test]
fn two_machines_train_as_one_device_with_twice_the_batch() {
    let (network, folders) = (network(32), [(); 5].map(|()| tempfile::tempdir().unwrap()));
    let mut folders = folders.iter().map(|folder| folder.path());
    let mut run = |network: &Mlp, devices: &[Device]| {
        let trained = train(network.clone(), devices, folders.next().unwrap(), 1, |_| ());
        trained.unwrap_or_else(|stopped| panic!("{stopped}"))
    };
    let one = run(&network, &[]);
    let (first, second) = (Machine::start(), Machine::start());
    let both = [first.device.clone(), second.device.clone()];
    let two = run(&network, &both);
    same("two servers", &two, &one);
    assert_ne!(values(&two.network), values(&network));
    // With this machine as one of them, and with the network on a server.
    same("flex and a server", &run(&network, &[second.device.clone(), Device::flex()]), &one);
    let there = network.clone().fork(&first.device);
    same("the network on a server", &run(&there, &both), &one);
    #[cfg(feature = "ndarray")]
    #[allow(deprecated)]
    same("flex and ndarray", &run(&network, &[Device::flex(), Device::ndarray()]), &one);

    let time = |devices: &[Device]| {
        let (folder, begin) = (tempfile::tempdir().unwrap(), Instant::now());
        train(network.clone(), devices, folder.path(), STEPS, |_| ()).unwrap();
        begin.elapsed().as_secs_f64() * 1e3 / STEPS as f64
    };
    println!("{:.1} ms a step on one device, {:.1} ms on two servers", time(&[]), time(&both));
}

/// 17.6 million weights: more than go into one message.
#[test]
fn a_large_network_goes_over_in_pieces() {
    const WIDTH: usize = 4200;
    let machine = Machine::start();
    let network: Linear = LinearConfig::new(WIDTH, WIDTH).init(&Device::flex().autodiff());
    let weights = |network: &Linear| {
        network.weight.val().into_data().try_into_vec::<f32>().expect("f32 weights")
    };
    let run = |devices: &[Device]| {
        let training = Training { steps: 1, ema_decay: 0.9, seed: 5 };
        let loss = |network: &Linear, noise: &mut StepNoise| {
            let x: Tensor<2> = noise.draw([2, WIDTH], &network.devices()[0]);
            Ok(network.forward(x).square().sum())
        };
        let trained =
            training.on(devices).run(network.clone(), SgdConfig::new().init(), 1e-2, loss);
        weights(&trained.unwrap_or_else(|stopped| panic!("{stopped}")).network)
    };
    let (there, here, before) =
        (run(std::slice::from_ref(&machine.device)), run(&[]), weights(&network));
    let farthest =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let (error, change) = (farthest(&there, &here), farthest(&here, &before));
    println!("weights to {error:.1e} of a change of {change:.1e}");
    assert!(change > 1e-3 && error < 1e-4 * change, "{error} of {change}");
}

/// The second machine is killed after a step, and then at any time within one.
#[test]
fn a_machine_that_dies_ends_the_training_and_leaves_a_checkpoint() {
    let start = network(32);
    let whole = tempfile::tempdir().unwrap();
    let expected = train(start.clone(), &[], whole.path(), 5, |_| ()).unwrap();
    for milliseconds in [0, 7, 14, 21] {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (Machine::start(), Machine::start());
        let devices = [first.device.clone(), second.device.clone()];
        let stopped = killed(start.clone(), devices, second, milliseconds, folder.path());
        let TrainError::Device { device, step, .. } = &stopped.error else { panic!("{stopped}") };
        assert!(device.starts_with("2 of 2") && *step > 15, "{stopped}");
        let last = stopped.checkpoint.as_ref().expect("a checkpoint");
        assert!(stopped.to_string().contains(last.to_str().unwrap()));

        // The rest on one device, from other weights than those that were saved.
        let resumed = train(network(32), &[], folder.path(), 5, |_| ()).unwrap();
        same("resumed", &resumed, &expected);
    }
}

#[test]
fn the_machine_of_the_network_that_dies_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Machine::start(), Machine::start());
    let there = network(32).fork(&first.device);
    let devices = [first.device.clone(), second.device.clone()];
    let stopped = killed(there, devices, first, 0, folder.path());
    let TrainError::Device { device, step: 16, .. } = &stopped.error else { panic!("{stopped}") };
    assert!(device.starts_with("of the network"), "{stopped}");
    assert!(stopped.checkpoint.expect("a checkpoint").ends_with("step-00000015"));
}

/// Trains, and kills a machine some time after step 15.
fn killed(
    network: Mlp,
    devices: [Device; 2],
    machine: Machine,
    milliseconds: u64,
    folder: &Path,
) -> Stopped<Mlp> {
    let (folder, mut machine) = (folder.to_owned(), Some(machine));
    let stopped = in_time(move || {
        let report = |step| {
            if step == 15
                && let Some(machine) = machine.take()
            {
                match milliseconds {
                    0 => drop(machine),
                    _ => drop(std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(milliseconds));
                        drop(machine);
                    })),
                }
            }
        };
        train(network, &devices, &folder, 5, report).expect_err("a machine is dead")
    });
    println!("{stopped}");
    stopped
}
