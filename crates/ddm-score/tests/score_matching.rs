//! Score matching, from the loss to samples of a network.

use burn::optim::AdamWConfig;
use burn::tensor::{Device, Tensor};
use ddm_denoiser::{
    EpsilonPrediction, Model, NoisePredictor, Parameterization, ScaledInput, ScorePrediction,
    VPrediction, X0Prediction,
};
use ddm_models::MlpConfig;
use ddm_samplers::{HostNoise, NoiseSource, Sampling};
use ddm_schedule::{GeometricSigmas, LinearVp, NoiseSchedule};
use ddm_score::AnnealedLangevin;
use ddm_testkit::{GaussianMixture, moments};
use ddm_train::{MinSnr, Objective, ScoreMatching, Training, Weighting};

/// NCSN, eq. 5 and 6: `σ² ‖s + (x − x₀)/σ²‖²`, at every level and for any x.
#[test]
fn the_loss_is_the_one_of_the_paper() {
    let device = Device::flex();
    let ladder = GeometricSigmas::new(0.01, 50.0, 30).unwrap();
    let objective = Objective::new(&ladder, ScorePrediction).unwrap().weighting(ScoreMatching);
    let x0: Tensor<2> = HostNoise::new(1).draw([3, 2], &device);
    let epsilon: Tensor<2> = HostNoise::new(2).draw([3, 2], &device);
    let times = [0.1, 0.5, 1.0];
    let example = objective.example(x0.clone(), &times, epsilon).unwrap();
    let prediction: Tensor<2> = HostNoise::new(3).draw([3, 2], &device);
    let loss = example.loss(prediction.clone()).unwrap().into_scalar::<f64>();
    let values = |tensor: Tensor<2>| -> Vec<f32> { tensor.into_data().try_into_vec().unwrap() };
    let [x, x0, s] = [example.x_t, x0, prediction].map(values);
    let expected: f64 = (0..6)
        .map(|i| {
            let sigma = ladder.level(times[i / 2]).sigma;
            let of_score = f64::from(s[i]) + f64::from(x[i] - x0[i]) / (sigma * sigma);
            (sigma * of_score).powi(2) / 6.0
        })
        .sum();
    assert!((loss / expected - 1.0).abs() < 1e-3, "{loss}, not {expected}");
}

/// λ = σ² on the score is weight 1 on ε, SNR on x₀, and Min-SNR without a bound; and scaling what
/// the network is shown changes no weight.
#[test]
fn the_weight_is_the_same_for_every_prediction() {
    let ladder = GeometricSigmas::new(0.01, 50.0, 30).unwrap();
    let unbounded = MinSnr::new(f64::INFINITY).unwrap();
    for schedule in [&ladder as &dyn NoiseSchedule, &LinearVp::default()] {
        for at in [0.1, 0.5, 1.0].map(|t| schedule.level(t)) {
            let close = |parameterization: &dyn Parameterization, expected: f64| {
                let found = ScoreMatching.weight(at, parameterization);
                assert!((found / expected - 1.0).abs() < 1e-9, "{found}, not {expected}");
                let other = unbounded.weight(at, parameterization);
                assert!((found / other - 1.0).abs() < 1e-12, "{found}, not {other}");
            };
            close(&ScorePrediction, at.sigma * at.sigma);
            close(&EpsilonPrediction, 1.0);
            close(&ScaledInput(EpsilonPrediction), 1.0);
            close(&X0Prediction, at.snr());
            close(&ScaledInput(VPrediction), at.snr() * at.sigma * at.sigma / at.scale().powi(4));
        }
    }
}

/// The input of a network with a scaled input has unit variance at every level, in training and in
/// sampling.
#[test]
fn scaled_inputs_have_unit_variance() {
    let device = Device::flex();
    let ladder = GeometricSigmas::new(0.01, 50.0, 30).unwrap();
    let objective = Objective::new(&ladder, ScaledInput(EpsilonPrediction)).unwrap();
    for time in [1.0 / 30.0, 0.5, 1.0] {
        let x0: Tensor<2> = HostNoise::new(1).draw([20_000, 1], &device);
        let epsilon = HostNoise::new(2).draw([20_000, 1], &device);
        let example = objective.example(x0, &vec![time; 20_000], epsilon).unwrap();
        let variance = example.x_t.var(0).into_scalar::<f64>();
        assert!((variance - 1.0).abs() < 0.03, "{variance} at {time}");
    }
}

/// A small MLP learns the scores of two heaps of points, over a ladder of noise, and annealed
/// Langevin draws from them.
#[test]
fn a_network_learns_the_score_and_langevin_samples_it() {
    let (device, learner) = (Device::flex(), Device::flex().autodiff());
    let data = GaussianMixture::new([vec![-1.0, 0.4], vec![1.0, -0.2]], [0.2, 0.3], [1.0, 2.0]);
    let data = data.unwrap();
    let ladder = GeometricSigmas::new(0.05, 5.0, 20).unwrap();
    let prediction = ScaledInput(EpsilonPrediction);
    let objective = Objective::new(&ladder, prediction).unwrap().weighting(ScoreMatching);
    let network = MlpConfig::new().with_hidden(64).init(&learner).unwrap();
    let training = Training { steps: 600, ema_decay: 0.99, seed: 0 };
    let trained = training
        .run(network, AdamWConfig::new().init(), 3e-3, |network, noise| {
            let example = objective.draw(data.sample(256, noise, &learner), noise)?;
            example.loss(network.predict(example.x_t.clone(), example.t.clone()))
        })
        .unwrap();

    let model = Model::new(trained.average, prediction);
    let langevin = AnnealedLangevin::ncsn_v2(ladder.ratio(), 20).unwrap();
    let run = Sampling::new(&model, &ladder).sampler(langevin).steps(20).seed(5);
    let samples = run.sample([2000, 2], &device).unwrap();
    let values: Vec<f64> = samples.clone().try_into_vec_as().unwrap();
    let column = |i: usize| -> Vec<f64> { values.chunks(2).map(|x| x[i]).collect() };
    let (mean, covariance) = (data.mean(), data.covariance());
    for i in [0, 1] {
        let found = moments::of(&column(i));
        let (std, expected) = (found.variance.sqrt(), covariance[i][i].sqrt());
        println!("x{i}: mean {:.3} ({:.3}), std {std:.3} ({expected:.3})", found.mean, mean[i]);
        assert!((found.mean - mean[i]).abs() < 0.12, "{} of {mean:?}", found.mean);
        assert!((std / expected - 1.0).abs() < 0.12, "{std}, not {expected}");
    }
    // Which heap, and how wide it is there: the fine scale is learnt too.
    let (left, right): (Vec<f64>, Vec<f64>) = column(0).into_iter().partition(|&x| x < 0.0);
    let share = left.len() as f64 / 2000.0;
    let stds = [left, right].map(|heap| moments::of(&heap).variance.sqrt());
    println!("{share:.3} left, stds {stds:.3?}");
    assert!((share - 1.0 / 3.0).abs() < 0.1, "{share} of the samples are left");
    assert!((stds[0] - 0.2).abs() < 0.06 && (stds[1] - 0.3).abs() < 0.06, "{stds:?}");
}
