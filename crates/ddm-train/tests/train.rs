//! The objective's laws, the moving average and the loop, through the public API.

use burn::tensor::{DType, Device, Int, Tensor};
use ddm_denoiser::{
    Denoiser, EdmPrediction, EpsilonPrediction, FlowPrediction, Model, ModelError,
    Parameterization, ScorePrediction, VPrediction, X0Prediction, from_fn,
};
use ddm_samplers::{Ddpm, HostNoise, NoiseSource, Sampling, Variance};
use ddm_schedule::{BetaTable, Cosine, LinearVp, NoiseLevel, NoiseSchedule, RectifiedFlow};
use ddm_train::{
    ConditionDropout, Hybrid, MinSnr, Objective, P2, ScoreMatching, UniformWeight, Weighting,
};

const PARAMETERIZATIONS: [&dyn Parameterization; 5] =
    [&EpsilonPrediction, &X0Prediction, &VPrediction, &ScorePrediction, &FlowPrediction];

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

/// What an example shows and asks for must lead back to its data.
fn target_leads_back<const D: usize>(shape: [usize; D]) {
    let device = Device::flex();
    let schedules: [&dyn NoiseSchedule; 4] =
        [&BetaTable::default(), &Cosine::default(), &LinearVp::default(), &RectifiedFlow];
    let x0 = HostNoise::new(1).draw(shape, &device);
    let epsilon = HostNoise::new(2).draw(shape, &device);
    let times: Vec<f64> = (0..shape[0]).map(|i| 0.2 + 0.15 * i as f64).collect();
    for schedule in schedules {
        for parameterization in PARAMETERIZATIONS {
            let objective = Objective::new(schedule, parameterization).unwrap();
            let example = objective.example(x0.clone(), &times, epsilon.clone()).unwrap();
            for (i, &time) in times.iter().enumerate() {
                let at = schedule.level(time);
                let (a, b) = parameterization.x0_from(at);
                let back = example.x_t.clone().narrow(0, i, 1) * a
                    + example.target.clone().narrow(0, i, 1) * b;
                let wanted = x0.clone().narrow(0, i, 1);
                let name = parameterization.name();
                assert!(back.all_close(wanted, Some(1e-3), Some(1e-4)), "{name} at {at:?}");
                let t = values(example.t.clone())[i];
                assert!((f64::from(t) - at.timestep).abs() < 1e-3, "{t} at {at:?}");
            }
            // The right answer costs nothing.
            assert_eq!(example.loss(example.target.clone()).unwrap().into_scalar::<f32>(), 0.0);
        }
    }
}

#[test]
fn the_target_leads_back_to_the_data_at_any_rank() {
    target_leads_back([3, 2]);
    target_leads_back([4, 1, 2, 3]);
    target_leads_back([2, 1, 2, 2, 2]);
}

/// A weight stated for x₀ means the same, whatever the network predicts: a prediction whose x̂₀ is
/// off by d has the loss w₀ d² under every parameterization.
#[test]
fn weights_count_the_same_x0_error_alike() {
    let (device, schedule, d) = (Device::flex(), Cosine::default(), 0.01);
    let x0: Tensor<2> = HostNoise::new(1).draw([1, 4], &device);
    let epsilon: Tensor<2> = HostNoise::new(2).draw([1, 4], &device);
    let weightings: [&dyn Weighting; 3] = [&MinSnr::default(), &P2::default(), &ScoreMatching];
    let stated: [fn(f64) -> f64; 3] = [|snr| snr.min(5.0), |snr| snr / (1.0 + snr), |snr| snr];
    for (weighting, w0) in weightings.into_iter().zip(stated) {
        for time in [0.05, 0.3, 0.6, 0.9] {
            let at = schedule.level(time);
            for parameterization in PARAMETERIZATIONS {
                // The F of the same x whose x̂₀ = a x + b F is x₀ + d.
                let objective = Objective::new(schedule, parameterization).unwrap();
                let objective = objective.weighting(weighting);
                let example = objective.example(x0.clone(), &[time], epsilon.clone()).unwrap();
                let (a, b) = parameterization.x0_from(at);
                let off = (x0.clone() + d - example.x_t.clone() * a) / b;
                let loss = f64::from(example.loss(off).unwrap().into_scalar::<f32>());
                let expected = w0(at.snr()) * d * d;
                let name = parameterization.name();
                assert!((loss / expected - 1.0).abs() < 0.02, "{name} {at:?}: {loss}, {expected}");
            }
        }
    }
}

#[test]
fn weights_have_their_published_forms() {
    for time in [0.02, 0.2, 0.5, 0.8] {
        let at = LinearVp::default().level(time);
        let snr = at.snr();
        let close = |found: f64, expected: f64| {
            assert!((found / expected - 1.0).abs() < 1e-9, "{found}, not {expected}");
        };
        let min_snr = MinSnr::new(5.0).unwrap();
        close(min_snr.weight(at, &EpsilonPrediction), snr.min(5.0) / snr);
        close(min_snr.weight(at, &X0Prediction), snr.min(5.0));
        close(min_snr.weight(at, &VPrediction), snr.min(5.0) / (snr + 1.0));
        let p2 = P2::new(1.0, 0.5).unwrap();
        close(p2.weight(at, &EpsilonPrediction), 1.0 / (1.0 + snr).sqrt());
        assert_eq!(UniformWeight.weight(at, &VPrediction), 1.0);
    }
}

#[test]
fn the_loss_is_the_weighted_mean_square() {
    let device = Device::flex();
    let schedule = LinearVp::default();
    let objective = Objective::new(&schedule, EpsilonPrediction).unwrap();
    let objective = objective.weighting(MinSnr::default());
    let x0 = HostNoise::new(3).draw([2, 4], &device);
    let epsilon = HostNoise::new(4).draw([2, 4], &device);
    let example = objective.example(x0, &[0.1, 0.7], epsilon).unwrap();
    let loss = example.loss(example.target.clone() + 2.0).unwrap().into_scalar::<f32>();
    let weight = |t| MinSnr::default().weight(schedule.level(t), &EpsilonPrediction);
    let expected = 4.0 * (weight(0.1) + weight(0.7)) / 2.0;
    assert!((f64::from(loss) - expected).abs() < 1e-4, "{loss}, not {expected}");
}

#[test]
fn every_row_of_a_table_is_as_likely_and_no_time_is_outside() {
    let table = BetaTable::linear(10, 0.01, 0.3).unwrap();
    let objective = Objective::new(&table, EpsilonPrediction).unwrap();
    let x0 = Tensor::<2>::zeros([20_000, 1], &Device::flex());
    let mut counts = [0usize; 10];
    for t in values(objective.draw(x0.clone(), &mut HostNoise::new(5)).unwrap().t) {
        assert_eq!(t.fract(), 0.0);
        counts[t as usize] += 1;
    }
    // 2000 each; the standard deviation is 42.
    assert!(counts.iter().all(|&n| n.abs_diff(2000) < 200), "{counts:?}");

    let cosine = Cosine::default();
    let objective = Objective::new(&cosine, VPrediction).unwrap();
    let times = values(objective.draw(x0, &mut HostNoise::new(6)).unwrap().t);
    assert!(times.iter().all(|&t| (0.0..=1000.0).contains(&t)));
    let mean = times.iter().sum::<f32>() / times.len() as f32;
    assert!((mean - 500.0).abs() < 10.0, "{mean}");
}

/// A table that ends without signal.
struct ZeroSnr;

impl NoiseSchedule for ZeroSnr {
    fn alpha_sigma(&self, t: f64) -> (f64, f64) {
        (1.0 - t, (t * (2.0 - t)).sqrt())
    }
    fn steps(&self) -> Option<usize> {
        Some(100)
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = Objective::new(&ZeroSnr, EpsilonPrediction).unwrap_err();
    assert!(matches!(error, ModelError::NoSignal { alpha: 0.0, .. }), "{error}");
    assert!(error.to_string().contains("epsilon prediction"), "{error}");
    assert!(Objective::new(&ZeroSnr, VPrediction).is_ok());

    let schedule = Cosine::default();
    let objective = Objective::new(&schedule, VPrediction).unwrap();
    let x0 = Tensor::<2>::zeros([3, 2], &Device::flex());
    let error = objective.example(x0.clone(), &[0.5], x0.clone()).unwrap_err().to_string();
    assert!(error.contains("for 1 samples") && error.contains("3 samples"), "{error}");
    let narrow = x0.clone().narrow(1, 0, 1);
    let error = objective.example(x0, &[0.5; 3], narrow).unwrap_err().to_string();
    assert!(error.contains("[3, 1]") && error.contains("[3, 2]"), "{error}");

    assert!(MinSnr::new(0.0).unwrap_err().to_string().contains("gamma is 0"));
    assert!(P2::new(f64::NAN, 1.0).is_err() && P2::new(1.0, -1.0).is_err());
    assert!(ConditionDropout::new(1.5).unwrap_err().to_string().contains("1.5"));
    assert!(serde_json::from_str::<MinSnr>(r#"{"gamma": -2}"#).is_err());
}

#[test]
fn weightings_survive_json() {
    for gamma in [5.0, f64::INFINITY] {
        let weighting = MinSnr::new(gamma).unwrap();
        let text = serde_json::to_string(&weighting).unwrap();
        assert_eq!(serde_json::from_str::<MinSnr>(&text).unwrap(), weighting, "{text}");
    }
}

/// Shapes that would broadcast are errors, in training too.
#[test]
fn a_prediction_of_another_shape_is_refused() {
    let device = Device::flex();
    let objective = Objective::new(Cosine::default(), VPrediction).unwrap();
    let x0 = Tensor::<4>::zeros([4, 1, 8, 8], &device);
    let example = objective.draw(x0, &mut HostNoise::new(0)).unwrap();
    for shape in [[4, 2, 8, 8], [1, 1, 8, 8], [4, 1, 8, 1]] {
        let error = example.loss(Tensor::zeros(shape, &device)).unwrap_err().to_string();
        assert!(error.contains(&format!("{shape:?}")) && error.contains("[4, 1, 8, 8]"), "{error}");
    }
}

/// Examples of half-precision data are those of the same data in f32, and t is exact.
#[test]
fn half_precision_data_makes_examples_in_f32() {
    let device = Device::flex();
    let objective = Objective::new(BetaTable::default(), EpsilonPrediction).unwrap();
    let objective = objective.weighting(MinSnr::default());
    let x0: Tensor<2> = HostNoise::new(3).draw([3, 5], &device);
    let times = [0.999, 0.998, 0.997]; // timesteps 998, 997, 996, which bf16 cannot tell apart
    let epsilon: Tensor<2> = HostNoise::new(4).draw([3, 5], &device);
    for dtype in [DType::BF16, DType::F16] {
        let half = x0.clone().cast(dtype);
        let rounded = half.clone().cast(DType::F32);
        let found = objective.example(half, &times, epsilon.clone()).unwrap();
        let expected = objective.example(rounded, &times, epsilon.clone()).unwrap();
        assert_eq!(values(found.t), [998.0, 997.0, 996.0]);
        assert_eq!(values(found.x_t), values(expected.x_t));
        assert_eq!(values(found.target), values(expected.target));
        assert_eq!(values(found.weight), values(expected.weight));
    }
    let double = objective.example(x0.cast(DType::F64), &times, epsilon).unwrap();
    assert_eq!((double.x_t.dtype(), double.t.dtype()), (DType::F64, DType::F64));
}

#[test]
fn conditions_fall_away_at_their_rate() {
    let device = Device::flex();
    let labels = Tensor::<1, Int>::zeros([10_000], &device);
    let null = labels.clone() + 7;
    let dropped = |p: f64| -> f32 {
        let dropout = ConditionDropout::new(p).unwrap();
        let after = dropout.apply(labels.clone(), null.clone(), &mut HostNoise::new(8)).unwrap();
        after.equal_elem(7).float().mean().into_scalar()
    };
    assert_eq!((dropped(0.0), dropped(1.0)), (0.0, 1.0));
    assert!((dropped(0.2) - 0.2).abs() < 0.02, "{}", dropped(0.2));
}

/// With x̂₀ = x₀ the bound of a row is the KL between two Gaussians of one mean, known in closed
/// form; and its minimum over v is at the posterior's own variance, v = 0.
#[test]
fn the_bound_is_the_divergence_of_two_gaussians() {
    let device = Device::flex();
    let table = BetaTable::linear(20, 0.01, 0.3).unwrap();
    let hybrid = Hybrid::new(&table, EpsilonPrediction, 0.001).unwrap();
    let (rows, x0) = ([1, 7, 19], HostNoise::new(1).draw([3, 2], &device) * 0.3);
    let epsilon: Tensor<2> = HostNoise::new(2).draw([3, 2], &device);
    let example = hybrid.example(x0.clone(), &rows, epsilon.clone()).unwrap();
    for v in [0.0, 0.4, 1.0] {
        let bits = values(example.bits(epsilon.clone(), epsilon.zeros_like() + v));
        for (i, &row) in rows.iter().enumerate() {
            let alpha_bar =
                |k: usize| -> f64 { table.betas()[..k].iter().map(|beta| 1.0 - beta).product() };
            let beta = table.betas()[row];
            let small = (1.0 - alpha_bar(row)) / (1.0 - alpha_bar(row + 1)) * beta;
            let ln_ratio = v * (small / beta).ln();
            let expected = 0.5 * (ln_ratio.exp() - 1.0 - ln_ratio) / std::f64::consts::LN_2;
            let found = f64::from(bits[2 * i]);
            assert!((found - expected).abs() < 1e-3 * (1.0 + expected), "{found} not {expected}");
        }
    }
}

/// At row 0 the term is the probability of the data's own bin: over all 256 values it adds up to 1.
#[test]
fn the_decoder_is_a_distribution_over_bins() {
    let device = Device::flex();
    let table = BetaTable::linear(20, 0.01, 0.3).unwrap();
    let hybrid = Hybrid::new(&table, X0Prediction, 1.0).unwrap();
    let bins: Vec<f32> = (0..256).map(|i| i as f32 / 127.5 - 1.0).collect();
    let x0 = Tensor::<1>::from_floats(bins.as_slice(), &device).reshape([256, 1]);
    let example = hybrid.example(x0.clone(), &[0; 256], x0.zeros_like()).unwrap();
    let guess = x0.zeros_like() + 0.123;
    let bits: Tensor<2> = example.bits(guess, x0.zeros_like() + 0.5);
    let total: f32 = (bits * -std::f64::consts::LN_2).exp().sum().into_scalar();
    assert!((total - 1.0).abs() < 1e-3, "{total}");
}

/// The bound teaches the variance: v moves to where the noise of the data's own steps lies, and the
/// mean gets no gradient from it.
#[test]
fn the_hybrid_loss_teaches_the_variance_alone() {
    let device = Device::flex().autodiff();
    let table = BetaTable::linear(20, 0.01, 0.3).unwrap();
    let hybrid = Hybrid::new(&table, EpsilonPrediction, 1.0).unwrap();
    let x0 = Tensor::<2>::zeros([4, 2], &device);
    let epsilon: Tensor<2> = HostNoise::new(2).draw([4, 2], &device);
    let example = hybrid.example(x0, &[3, 5, 9, 15], epsilon.clone()).unwrap();
    let (f, v) = (epsilon.clone().require_grad(), (epsilon * 0.0 + 0.7).require_grad());
    // The data is one point and F is right: the posterior is exact, v should fall to 0.
    let gradients = example.loss(f.clone(), v.clone()).unwrap().backward();
    let of_v = values(v.grad(&gradients).unwrap());
    assert!(of_v.iter().all(|&g| g > 0.0), "{of_v:?}");
    let of_f = values(f.grad(&gradients).unwrap());
    assert!(of_f.iter().all(|&g| g.abs() < 1e-6), "{of_f:?}");

    let error = Hybrid::new(&Cosine::default(), VPrediction, 0.001).unwrap_err().to_string();
    assert!(error.contains("table"), "{error}");
    assert!(Hybrid::new(&table, VPrediction, -1.0).is_err());
}

/// Sampling with a learned variance at its two ends is sampling with the fixed ones.
#[test]
fn a_learned_variance_samples_between_the_fixed_ones() {
    let device = Device::flex();
    let table = BetaTable::linear(50, 1e-3, 0.2).unwrap();
    let fixed = from_fn(|x: Tensor<2>, _: Tensor<1>| x * 0.5);
    let learned = |u: f64| {
        from_fn(move |x: Tensor<2>, _: Tensor<1>| {
            Tensor::cat(vec![x.clone() * 0.5, x.zeros_like() + u], 1)
        })
    };
    let sample = |model: &dyn Denoiser<2>, variance| {
        let run = Sampling::new(&model, &table).sampler(Ddpm { variance }).steps(10).seed(4);
        values(run.sample([3, 2], &device).unwrap())
    };
    let close = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4);
    let model = Model::new(fixed, EpsilonPrediction);
    let (small, large) = (sample(&model, Variance::Small), sample(&model, Variance::Large));
    let at = |u| {
        sample(&Model::new(learned(u), EpsilonPrediction).learned_variance(), Variance::Learned)
    };
    assert!(close(at(-1.0), small.clone()) && close(at(1.0), large.clone()));
    assert!(!close(small, large.clone()) && !close(at(0.0), large));
}

/// A preconditioned network of learned variance is asked as the plain one is: with its own input
/// scale and time.
#[test]
fn a_learned_variance_keeps_the_preconditioning() {
    let device = Device::flex();
    let plain = from_fn(|x: Tensor<2>, t: Tensor<1>| x + t.reshape([-1, 1]));
    let learned = from_fn(|x: Tensor<2>, t: Tensor<1>| {
        Tensor::cat(vec![x.clone() + t.reshape([-1, 1]), x], 1)
    });
    let at = NoiseLevel { timestep: 700.0, alpha: 1.0, sigma: 3.0 };
    let x: Tensor<2> = HostNoise::new(1).draw([3, 2], &device);
    let edm = EdmPrediction::default();
    let expected = Model::new(plain, edm).denoise(x.clone(), at);
    let found = Model::new(learned, edm).learned_variance().denoise(x, at);
    assert!(found.all_close(expected, None, None));
}
