//! Training on several devices: each its part of the batch, and the same training.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, SgdConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};
use ddm_denoiser::X0Prediction;
use ddm_noise::NoiseSource;
use ddm_schedule::Cosine;
use ddm_train::{Checkpoints, Objective, StepNoise, Stopped, TrainError, Trained, Training};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    last: Linear,
    /// Has no part in the loss.
    unused: Linear,
}

impl Net {
    fn new() -> Self {
        let device = Device::flex().autodiff();
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
        Self { first: linear(2, 16), last: linear(16, 2), unused: linear(2, 2) }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.last.forward(silu(self.first.forward(x)))
    }
}

fn values(net: &Net) -> Vec<f32> {
    let of = |linear: &Linear| {
        let bias = linear.bias.as_ref().unwrap().val().into_data().try_into_vec::<f32>().unwrap();
        let mut values = linear.weight.val().into_data().try_into_vec::<f32>().unwrap();
        values.extend(bias);
        values
    };
    [of(&net.first), of(&net.last), of(&net.unused)].concat()
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Trains on `devices` times flex, 48 samples a step, with a checkpoint every 10 steps.
fn train(net: Net, devices: usize, steps: usize, folder: Option<&std::path::Path>) -> Trained<Net> {
    let objective = Objective::new(Cosine::default(), X0Prediction).unwrap();
    let objective = objective.noise_offset(0.1).unwrap();
    let loss = |net: &Net, noise: &mut StepNoise| {
        let device = &net.devices()[0];
        let center = noise.fork("centers").uniform(48 / devices);
        let center = Tensor::<1>::from_data(&center[..], device).unsqueeze_dim::<2>(1);
        let x0 = noise.draw([48 / devices, 2], device) * 0.5 + center;
        let example = objective.draw(x0, noise)?;
        example.loss(net.forward(example.x_t.clone()))
    };
    let training = Training { steps, ema_decay: 0.9, seed: 5 };
    let adam = AdamWConfig::new().init();
    let on = vec![Device::flex(); devices];
    let trained = match folder {
        None => training.on(&on).run(net, adam, 1e-2, loss),
        Some(folder) => {
            let checkpoints = Checkpoints::open(folder).unwrap().every(10).unwrap();
            training.on(&on).resume(&checkpoints, net, adam, 1e-2, loss, |_| ())
        }
    };
    trained.unwrap_or_else(|stopped| panic!("{stopped}"))
}

#[test]
fn several_devices_train_as_one_with_the_whole_batch() {
    let net = Net::new();
    let one = train(net.clone(), 1, 50, None);
    let plain = {
        // `on` with one device is the plain loop, to the bit.
        let training = Training { steps: 3, ema_decay: 0.9, seed: 5 };
        let loss = |net: &Net, noise: &mut StepNoise| {
            Ok(net.forward(noise.draw([8, 2], &net.devices()[0])).square().mean())
        };
        let run = |on: &[Device]| {
            let adam = AdamWConfig::new().init();
            values(&training.on(on).run(net.clone(), adam, 1e-2, loss).unwrap().network)
        };
        assert_eq!(run(&[]), run(&[Device::flex()]));
        values(&training.run(net.clone(), AdamWConfig::new().init(), 1e-2, loss).unwrap().network)
            == run(&[])
    };
    assert!(plain);
    for devices in [2, 3, 4] {
        let several = train(net.clone(), devices, 50, None);
        let mut largest = 0.0_f64;
        for ((step, found), (_, expected)) in several.losses.iter().zip(&one.losses) {
            let error = (found / expected - 1.0).abs();
            assert!(error < 1e-5, "{devices} devices, step {step}: {found} for {expected}");
            largest = largest.max(error);
        }
        let weights = farthest(&values(&several.network), &values(&one.network));
        let average = farthest(&values(&several.average), &values(&one.average));
        println!("{devices} devices: losses to {largest:.1e}, weights to {weights:.1e}");
        assert!(weights < 1e-4 && average < 1e-4, "{weights} {average}");
        assert!(farthest(&values(&several.network), &values(&net)) > 0.1);
        // What has no gradient stays as it is, weight decay included.
        assert_eq!(several.network.unused.weight.to_data(), net.unused.weight.to_data());
    }
}

#[test]
fn a_training_goes_on_on_other_devices() {
    let (net, folder) = (Net::new(), tempfile::tempdir().unwrap());
    let two = train(net.clone(), 2, 40, None);
    train(net.clone(), 2, 20, Some(folder.path()));
    let resumed = train(Net::new(), 2, 40, Some(folder.path()));
    assert_eq!(values(&resumed.network), values(&two.network));
    assert_eq!((resumed.losses.len(), &resumed.losses), (4, &two.losses));

    let folder = tempfile::tempdir().unwrap();
    train(net, 2, 20, Some(folder.path()));
    let on_one = train(Net::new(), 1, 40, Some(folder.path()));
    assert!(farthest(&values(&on_one.network), &values(&two.network)) < 1e-4);
}

/// The loss is not finite in the second of three parts only.
fn stopped(bad: impl Fn(usize, usize) -> f32) -> Stopped<Linear> {
    let device = Device::flex().autodiff();
    let training = Training { steps: 40, ema_decay: 0.9, seed: 5 };
    let network = LinearConfig::new(1, 1).init(&device);
    let on = [Device::flex(), Device::flex(), Device::flex()];
    let mut calls = 0;
    let run = training.on(&on).run(network, SgdConfig::new().init(), 0.05, |network, noise| {
        calls += 1;
        let x = noise.draw([8, 1], &device) * 0.1 + 1.0;
        let bad = if noise.part() == 1 { bad(noise.number(), calls) } else { 1.0 };
        Ok((network.forward(x) - 3.0).square().mean() * bad)
    });
    run.unwrap_err()
}

#[test]
fn a_loss_of_one_part_that_is_not_finite_stops_the_training() {
    let data = stopped(|step, _| if step == 17 { f32::NAN } else { 1.0 });
    assert!(matches!(data.error, TrainError::Data { step: 17, .. }), "{data}");
    assert_eq!(data.trained.losses.len(), 1);
    // Not finite once only: the call before step 17 is the last of 16 steps of 3 parts.
    let diverged = stopped(|_, calls| if calls == 16 * 3 + 2 { f32::NAN } else { 1.0 });
    assert!(matches!(diverged.error, TrainError::Diverged { step: 17, .. }), "{diverged}");
}

#[test]
fn parts_draw_the_rows_of_the_whole() {
    let device = Device::flex();
    let whole = StepNoise::new(3, 9);
    let rows = |noise: &mut StepNoise, samples: usize| {
        let normal: Tensor<2> = noise.draw([samples, 3], &device);
        let mut values = vec![normal.into_data().try_into_vec::<f32>().unwrap()];
        values.push(noise.uniform(samples).into_iter().map(|u| u as f32).collect());
        let forked: Tensor<2> = noise.fork("flips").draw([samples, 1], &device);
        values.push(forked.into_data().try_into_vec::<f32>().unwrap());
        let source: &mut dyn NoiseSource = noise;
        values.push(source.uniform(samples).unwrap().into_iter().map(|u| u as f32).collect());
        values
    };
    let expected = rows(&mut whole.clone(), 6);
    let parts: Vec<_> = (0..3).map(|part| rows(&mut whole.clone().for_part(part, 3), 2)).collect();
    for (draw, expected) in expected.iter().enumerate() {
        let joined: Vec<f32> = parts.iter().flat_map(|part| part[draw].clone()).collect();
        assert_eq!(&joined, expected, "draw {draw}");
    }
    let numbers: Vec<u64> =
        (0..3).map(|part| whole.clone().for_part(part, 3).batch_number()).collect();
    assert_eq!((numbers, whole.batch_number()), (vec![24, 25, 26], 8));
}

#[test]
fn a_network_without_parameters_is_refused() {
    #[derive(Module, Debug)]
    struct Empty {
        size: usize,
    }
    let training = Training { steps: 1, ema_decay: 0.9, seed: 5 };
    let run = training.on(&[Device::flex()]).run(
        Empty { size: 1 },
        SgdConfig::new().init(),
        0.1,
        |_, _| Ok(Tensor::zeros([1], &Device::flex())),
    );
    let error = run.unwrap_err();
    assert!(matches!(error.error, TrainError::Invalid(_)), "{error}");
    assert!(error.to_string().contains("is 0"), "{error}");
}
