//! The loop: what it learns, reports and leaves, and how it stops.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, SgdConfig};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};
use ddm_denoiser::{ModelError, VPrediction, X0Prediction, from_fn};
use ddm_models::{MlpConfig, UNetConfig};
use ddm_noise::{HostNoise, NoiseSource};
use ddm_schedule::{Cosine, LinearVp};
use ddm_train::{
    Objective, PowerDecay, Progress, StepNoise, Stopped, TrainError, Trained, Training,
};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

fn fit(steps: usize, rate: f64) -> Result<Trained<Linear>, Stopped<Linear>> {
    let device = Device::flex().autodiff();
    let schedule = LinearVp::default();
    let objective = Objective::new(&schedule, X0Prediction).unwrap();
    let training = Training { steps, ema_decay: 0.9, seed: 11 };
    let optimizer = SgdConfig::new().init();
    // Data that is always 3: the best bias is 3 and the best weight 0.
    let network = LinearConfig::new(1, 1).init(&device);
    training.run(network, optimizer, rate, |network, noise| {
        let x0 = Tensor::<2>::ones([64, 1], &device) * 3.0;
        let example = objective.draw(x0, noise)?;
        example.loss(network.forward(example.x_t.clone()))
    })
}

#[test]
fn the_loop_learns_and_reports() {
    let trained = fit(305, 0.05).unwrap();
    let bias = |network: &Linear| values(network.bias.as_ref().unwrap().val().inner())[0];
    assert!((bias(&trained.network) - 3.0).abs() < 0.2, "{}", bias(&trained.network));
    assert!((bias(&trained.average.clone().train()) - 3.0).abs() < 0.2);
    assert_eq!(trained.losses.len(), 31);
    assert_eq!(trained.losses.last().unwrap().0, 305);
    assert!(trained.losses[30].1 < 0.1 * trained.losses[0].1, "{:?}", trained.losses);
}

#[test]
fn the_loop_stops_with_a_sentence() {
    assert!(fit(0, 0.1).unwrap_err().to_string().contains("training steps is 0"));
    let error = fit(200, 1e6).unwrap_err();
    assert!(matches!(error.error, TrainError::Diverged { .. }), "{error}");
    assert!(error.to_string().contains("smaller learning rate"), "{error}");
    let bad = Training { steps: 1, ema_decay: -0.1, seed: 0 };
    let network = LinearConfig::new(1, 1).init(&Device::flex().autodiff());
    let run = bad
        .run(network, AdamWConfig::new().init(), 0.1, |network, _| Ok(network.weight.val().sum()));
    assert!(run.unwrap_err().to_string().contains("-0.1"));
}

/// The loss of a linear network on ones; not finite data from this step on.
fn with_bad_data(from: usize, bad: f32) -> Stopped<Linear> {
    let device = Device::flex().autodiff();
    let training = Training { steps: 60, ema_decay: 0.9, seed: 3 };
    let network = LinearConfig::new(1, 1).init(&device);
    let mut calls = 0;
    let run = training.run(network, SgdConfig::new().init(), 0.05, |network, noise| {
        calls += 1;
        let value = if calls < from { 1.0 } else { bad };
        let x = noise.draw([8, 1], &device) * 0.1 + value;
        Ok((network.forward(x) - 3.0).square().mean())
    });
    run.unwrap_err()
}

#[test]
fn data_that_is_not_finite_is_named() {
    for (from, step) in [(1, 1), (10, 10), (11, 11), (37, 37)] {
        for bad in [f32::NAN, f32::INFINITY] {
            let stopped = with_bad_data(from, bad);
            assert!(matches!(stopped.error, TrainError::Data { step: found, .. } if found == step));
            assert!(stopped.to_string().contains("the data"), "{stopped}");
            // What there was at the last report, all of it finite.
            let Trained { network, average, losses, .. } = *stopped.trained;
            let reports = (from - 1) / 10;
            assert_eq!(losses.len(), reports);
            assert!(losses.iter().all(|(_, loss)| loss.is_finite()));
            let weight = values(network.weight.val().inner())[0];
            assert!(weight.is_finite() && values(average.weight.val())[0].is_finite());
        }
    }
}

/// The step is the first whose loss is not finite, and the weights are those before.
#[test]
fn a_training_that_diverges_leaves_what_was_good() {
    let device = Device::flex().autodiff();
    let network: Linear = LinearConfig::new(1, 1).init(&device);
    let training = Training { steps: 100, ema_decay: 0.9, seed: 3 };
    let mut calls = 0;
    let stopped = training.run(network, SgdConfig::new().init(), 0.05, |network, _| {
        calls += 1;
        // From step 24 on the loss explodes, whatever the data.
        let steepness = if calls < 24 { 1.0 } else { 1e30 };
        let x = Tensor::<2>::ones([8, 1], &device);
        Ok(((network.forward(x) - 3.0).square() * steepness).mean())
    });
    let stopped = stopped.unwrap_err();
    assert!(matches!(stopped.error, TrainError::Diverged { step: 25, .. }), "{stopped}");
    let steps: Vec<usize> = stopped.trained.losses.iter().map(|&(step, _)| step).collect();
    assert_eq!(steps, [10, 20]);
    let network = stopped.trained.network;
    let prediction = network.forward(Tensor::<2>::ones([1, 1], &device));
    let off = (values(prediction.inner())[0] - 3.0).abs();
    assert!(off < 1.0, "{off}");
}

/// With the losses of the samples, the error has the times of those that are not finite.
#[test]
fn a_training_that_diverges_names_the_times() {
    let device = Device::flex().autodiff();
    let network: Linear = LinearConfig::new(1, 1).init(&device);
    let training = Training { steps: 100, ema_decay: 0.9, seed: 3 };
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let (mut calls, mut late) = (0, Vec::new());
    let stopped = training.run(network, SgdConfig::new().init(), 0.05, |network, noise| {
        calls += 1;
        let example = objective.draw(Tensor::<2>::ones([16, 1], &device), noise)?;
        let times = example.sampled.iter().map(|of| of.time);
        // In call 24 alone, all samples later than 0.7 explode.
        let bad = |time: f64| if calls == 24 && time > 0.7 { f32::INFINITY } else { 1.0 };
        let factors: Vec<f32> = times.clone().map(bad).collect();
        if calls == 24 {
            late = times.filter(|time| *time > 0.7).collect();
        }
        let factors = Tensor::<1>::from_floats(&factors[..], &device).unsqueeze_dim(1);
        example.sample_losses(network.forward(example.x_t.clone()) * factors)
    });
    let stopped = stopped.unwrap_err();
    let TrainError::Diverged { step: 24, times, .. } = &stopped.error else {
        panic!("{stopped}");
    };
    assert!(!late.is_empty() && *times == late, "{times:?}, not {late:?}");
    assert!(stopped.to_string().contains(" samples at times 0.7"), "{stopped}");
}

/// `?` works where the caller has an error of his own.
#[test]
fn stopped_converts_to_other_errors() {
    fn typed() -> Result<Linear, TrainError> {
        Ok(fit(0, 0.1)?.average)
    }
    fn boxed() -> Result<Linear, Box<dyn std::error::Error>> {
        Ok(fit(0, 0.1)?.average)
    }
    let typed = typed().unwrap_err();
    assert!(matches!(typed, TrainError::Invalid(_)), "{typed}");
    assert_eq!(boxed().unwrap_err().to_string(), typed.to_string());
}

/// The three ways to run are one training, and reports come every ten steps and at the end.
#[test]
fn reports_and_async_change_nothing() {
    let device = Device::flex().autodiff();
    let network: Linear = LinearConfig::new(1, 1).init(&device);
    let training = Training { steps: 25, ema_decay: PowerDecay::from_width(0.1).unwrap(), seed: 1 };
    let loss = |network: &Linear, noise: &mut StepNoise| {
        Ok((network.forward(noise.draw([8, 1], &device)) - 3.0).square().mean())
    };
    let adam = || AdamWConfig::new().init();
    let mut reports: Vec<Progress> = Vec::new();
    let plain = training.run(network.clone(), adam(), 0.1, loss).unwrap();
    let report = |at| reports.push(at);
    let reported = training.run_with(network.clone(), adam(), 0.1, loss, report).unwrap();
    let of_reports: Vec<_> = reports.iter().map(|at| (at.step, at.loss)).collect();
    assert_eq!((reports.len(), reports[2].steps), (3, 25));
    assert_eq!(of_reports, plain.losses);
    let future = std::pin::pin!(training.run_async(network, adam(), 0.1, loss, |_| ()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(later) = future.poll(&mut context) else {
        panic!("flex reads at once")
    };
    for trained in [reported, later.unwrap()] {
        assert_eq!(trained.losses, plain.losses);
        assert_eq!(values(trained.average.weight.val()), values(plain.average.weight.val()));
    }
}

/// The network's own check reaches training: sizes and labels are typed errors, and no panics.
#[test]
fn the_networks_check_reaches_training() {
    let device = Device::flex();
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let config = UNetConfig::new(1, 1).with_channels(vec![32, 32]);
    let unet = config.clone().with_classes(Some(3)).init(&device).unwrap();
    let noise = &mut HostNoise::new(0);
    let labels = |of: [i32; 2]| Tensor::<1, Int>::from_data(of, &device);
    let images = |side| Tensor::<4>::zeros([2, 1, side, side], &device);
    let loss = objective.loss_with(&unet, images(8), labels([0, 2]).into(), noise).unwrap();
    assert!(loss.into_scalar::<f32>().is_finite());
    let refused = |error: TrainError, words: &str| {
        assert!(matches!(error, TrainError::Model(ModelError::Shape { .. })), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(objective.loss_with(&unet, images(7), labels([0, 2]).into(), noise).unwrap_err(), "7");
    refused(objective.loss_with(&unet, images(8), labels([0, 5]).into(), noise).unwrap_err(), "5");
    let plain = config.init(&device).unwrap();
    refused(objective.loss(&plain, images(7), noise).unwrap_err(), "7");
    // A network that would broadcast.
    let one = from_fn(|x: Tensor<4>, _: Tensor<1>| x.mean_dim(0));
    refused(objective.loss(&one, images(8), noise).unwrap_err(), "[1, 1, 8, 8]");
}

/// A network in half precision trains with t in f32.
#[test]
fn a_half_precision_network_sees_t_in_f32() {
    let device = Device::flex();
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let objective = objective.network_dtype(FloatDType::BF16);
    let network = from_fn(|x: Tensor<2>, t: Tensor<1>| {
        assert_eq!((x.dtype(), t.dtype()), (DType::BF16, DType::F32));
        x
    });
    let x0 = Tensor::<2>::ones([4, 2], &device).cast(DType::BF16);
    let loss = objective.loss(&network, x0, &mut HostNoise::new(0)).unwrap();
    assert_eq!(loss.dtype(), DType::F32);
}

/// An objective that owns its schedule lives in a struct and goes to other threads.
#[test]
fn an_objective_can_be_kept() {
    struct Server {
        objective: Objective<std::sync::Arc<Cosine>, VPrediction>,
    }
    let server = Server {
        objective: Objective::new(std::sync::Arc::new(Cosine::default()), VPrediction).unwrap(),
    };
    let loss = std::thread::spawn(move || {
        let device = Device::flex();
        let network = MlpConfig::new().with_hidden(8).init(&device).unwrap();
        let x0 = Tensor::<2>::ones([4, 2], &device);
        let loss = server.objective.loss(&network, x0, &mut HostNoise::new(0));
        loss.unwrap().into_scalar::<f32>()
    });
    assert!(loss.join().unwrap().is_finite());
}
