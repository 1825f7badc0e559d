//! What is learned and counted by noise level: the uncertainty and the loss by time.

use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use ddm_denoiser::{EdmPrediction, FlowPrediction};
use ddm_models::MlpConfig;
use ddm_samplers::{HostNoise, NoiseSource};
use ddm_schedule::{NoiseLevel, RectifiedFlow};
use ddm_train::{
    EdmWeight, LogNormal, LossByTime, Objective, Sampled, Stratified, Training, Uncertainty,
    WithUncertainty,
};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The mean loss of the test at a level, from e^−3.5 to e^−0.5.
fn known(at: &NoiseLevel) -> f64 {
    (1.5 * (1.2 * at.lambda()).sin() - 2.0).exp()
}

#[test]
fn the_uncertainty_is_the_log_of_the_loss() {
    let device = Device::flex().autodiff();
    let objective = Objective::new(RectifiedFlow, FlowPrediction).unwrap();
    let objective = objective.time_sampling(Stratified(LogNormal::default()));
    let mut uncertainty = Uncertainty::new(&device);
    let mut adam = AdamWConfig::new().with_weight_decay(0.0).init();
    let noise = &mut HostNoise::new(2);
    let mut last = 0.0;
    for step in 0..1500 {
        let example = objective.draw(Tensor::<2>::zeros([256, 1], &device), noise).unwrap();
        // Losses that vary about their mean, as those of samples do.
        let vary = noise.uniform(256);
        let loss = |(at, u): (&NoiseLevel, f64)| (known(at) * (0.5 + u)) as f32;
        let losses: Vec<f32> = example.levels.iter().zip(vary).map(loss).collect();
        let losses = Tensor::from_floats(losses.as_slice(), &device);
        let loss = uncertainty.loss(&example, losses).unwrap();
        last = values(loss.clone().inner())[0];
        let gradients = GradientsParams::from_grads(loss.backward(), &uncertainty);
        let rate = if step < 1000 { 0.01 } else { 0.001 };
        uncertainty = adam.step(rate, uncertainty, gradients);
    }
    let levels: Vec<NoiseLevel> = (0..40)
        .map(|k| f64::exp(-3.2 + 0.1 * f64::from(k)))
        .map(|sigma| NoiseLevel { timestep: 0.0, alpha: 1.0, sigma })
        .collect();
    let found = values(uncertainty.log_variance(&levels).inner());
    let off = |(u, at): (&f64, &NoiseLevel)| (u - known(at).ln()).abs();
    let worst = found.iter().zip(&levels).map(off).fold(0.0, f64::max);
    println!("u is off by {worst} at most; the loss is {last}");
    assert!(worst < 0.1, "{worst}");
    // Ends of schedules have finite numbers.
    let ends = [NoiseLevel::DATA, NoiseLevel { timestep: 0.0, alpha: 0.0, sigma: 1.0 }];
    assert!(values(uncertainty.log_variance(&ends).inner()).iter().all(|u| u.is_finite()));
}

/// u learns beside a network in the plain loop, and the network is as good as without.
#[test]
fn a_network_trains_beside_its_uncertainty() {
    let device = Device::flex().autodiff();
    device.seed(3);
    let objective = Objective::new(RectifiedFlow, EdmPrediction::default()).unwrap();
    let objective = objective.weighting(EdmWeight::default()).time_sampling(LogNormal::default());
    let mlp = MlpConfig::new().with_hidden(32).with_layers(1).init(&device).unwrap();
    let network = WithUncertainty::new(mlp, &device);
    let training = Training { steps: 400, ema_decay: 0.98, seed: 4 };
    let data = |noise: &mut HostNoise| noise.draw([128, 2], &device).sign() * 0.5;
    let trained = training.run(network, AdamWConfig::new().init(), 3e-3, |network, noise| {
        let x0 = data(noise);
        network.loss(&objective, x0, noise)
    });
    let average = trained.unwrap().average;
    // u against the network's own losses, over many samples.
    let noise = &mut HostNoise::new(77);
    let x0: Tensor<2> = noise.draw([8000, 2], &Device::flex()).sign() * 0.5;
    let example = objective.draw(x0, noise).unwrap();
    let prediction = ddm_denoiser::NoisePredictor::predict(
        &average.network,
        example.x_t.clone(),
        example.t.clone(),
    );
    let losses = values(example.losses(prediction).unwrap());
    let u = values(average.uncertainty.log_variance(&example.levels));
    // e^u is as large as the loss on average: mean (L/e^u) is 1 at the optimum.
    let mean = losses.iter().zip(&u).map(|(loss, u)| loss / u.exp()).sum::<f64>() / 8000.0;
    let spread =
        u.iter().fold(f64::MIN, |m, u| m.max(*u)) - u.iter().fold(f64::MAX, |m, u| m.min(*u));
    println!("mean of L/e^u {mean}, u over {spread}");
    assert!((mean - 1.0).abs() < 0.2, "{mean}");
    assert!(spread > 0.5, "{spread}");
}

#[test]
fn losses_are_counted_by_time() {
    let mut by_time = LossByTime::new(4).unwrap();
    let at = |time| Sampled { time, importance: 1.0 };
    let sampled = [at(0.1), at(0.2), at(0.6), at(1.0), at(0.25)];
    by_time.record(&sampled, &[1.0, 3.0, 5.0, f64::NAN, 2.0]).unwrap();
    // 0.25 is the upper edge of the first bin, where a row of a table would lie.
    assert_eq!(by_time.means(), [Some(2.0), None, Some(5.0), None]);
    assert_eq!(by_time.counts(), [3, 0, 1, 0]);
    assert_eq!(by_time.not_finite(), [(0.75..1.0, 1)]);
    assert_eq!(by_time.times()[1], 0.25..0.5);
    // Importance weights fall out.
    by_time.record(&[Sampled { time: 0.3, importance: 4.0 }], &[8.0]).unwrap();
    assert_eq!(by_time.means()[1], Some(2.0));

    let text = serde_json::to_string(&by_time).unwrap();
    assert_eq!(serde_json::from_str::<LossByTime>(&text).unwrap(), by_time);
    assert!(serde_json::from_str::<LossByTime>(r#"{"bins": []}"#).is_err());
    let error = by_time.record(&sampled, &[1.0]).unwrap_err().to_string();
    assert!(error.contains("for 1 samples"), "{error}");
    by_time.reset();
    assert_eq!(by_time, LossByTime::new(4).unwrap());
    assert!(LossByTime::new(0).is_err() && LossByTime::new(usize::MAX).is_err());
}
